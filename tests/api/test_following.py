"""`uvala train` by several processes."""

import shutil

import pytest

from drawn import write_discs
from many_ranks import run_ranks
from rank_tasks import train_run
from uvala.api.run import load_run
from uvala.errors import ConfigError, RankError, SplitError
from uvala.log import read_events


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("data") / "discs", count=10)


class TestTwoRanks:
    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, data, tmp_path_factory):
        """The second rank has a copy of the data, as another machine would."""
        folder = tmp_path_factory.mktemp("two")
        shutil.copytree(data, folder / "copy")
        out = folder / "run"
        return out, run_ranks(train_run, 2, [data, folder / "copy"], out, steps=8)

    def test_train_a_run_to_its_end(self, trained):
        out, _ = trained
        run = load_run(out)
        assert run.card.training.finished
        assert run.card.training.steps == 8
        assert (out / "report.html").is_file()

    def test_every_rank_returns_the_run(self, trained):
        out, found = trained
        assert [path for path, _ in found] == [str(out), str(out.resolve())]

    def test_rank_0_alone_speaks(self, trained):
        (_, first), (_, second) = trained[1]
        assert first.count("end") == 1
        assert second == []

    def test_the_log_is_that_of_one_process(self, trained):
        out, _ = trained
        steps = [event["step"] for event in read_events(out / "log.jsonl") if event["event"] == "validation"]
        assert steps == [2, 4, 6, 8]

    @pytest.mark.slow  # two trainings, and the scores of three runs
    def test_folds_are_trained_together(self, data, tmp_path):
        first, second = run_ranks(train_run, 2, [data, data], tmp_path / "run", steps=2, folds=2)
        assert first[0] == str(tmp_path / "run")
        assert second[1] == []
        assert load_run(tmp_path / "run").card.training.finished


class TestRefusals:
    """What ends all ranks at once; the one that knows says why."""

    def test_a_batch_that_cannot_be_shared(self, data, tmp_path):
        first, second = run_ranks(train_run, 2, [data, data], tmp_path / "run", settings={"patches.batch": 3})
        assert isinstance(first, ConfigError)
        assert isinstance(second, RankError)
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("kind", ["images", "masks"])
    def test_other_data_on_another_machine(self, data, tmp_path, kind):
        other = shutil.copytree(data, tmp_path / "other")
        one, two, *_ = sorted((other / kind).iterdir())
        shutil.copyfile(one, two)
        first, second = run_ranks(train_run, 2, [data, other], tmp_path / "run")
        assert isinstance(first, RankError)
        assert isinstance(second, SplitError)
