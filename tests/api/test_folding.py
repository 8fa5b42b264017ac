"""Cross-validation: a run of runs."""

import shutil
import signal

import numpy as np
import pytest

import uvala
from drawn import discs, write_discs
from trainings import train_quickly
from uvala.errors import BudgetError, DataError, RunError, SplitError
from uvala.evaluation.scores import Scores
from uvala.log import read_events

FOLDS = 3
IMAGE = discs(seed=50)[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("folded") / "data", count=9)


@pytest.fixture(scope="module")
def folded(data, tmp_path_factory):
    """Three pocket networks of 8 steps each; tests may read it and must not change it."""
    return train_quickly(data, tmp_path_factory.mktemp("folds") / "run", steps=8, folds=FOLDS)


class TestFolds:
    def test_each_is_a_run_that_can_be_used_by_itself(self, folded, data):
        for number in range(1, FOLDS + 1):
            fold = uvala.load_run(folded.path / f"fold-{number}")
            assert fold.card.training.finished
            assert fold.report.is_file()
            assert fold.predict(IMAGE).mask.shape == IMAGE.shape

    def test_each_image_validated_one_of_them(self, folded):
        splits = [uvala.load_run(folded.path / f"fold-{n}").folder.split for n in range(1, FOLDS + 1)]
        assert sorted(name for split in splits for name in split.val) == [f"{n:02d}.png" for n in range(9)]

    def test_all_have_the_plan_of_the_whole_but_for_its_folds(self, folded):
        for number in range(1, FOLDS + 1):
            plan = uvala.load_run(folded.path / f"fold-{number}").plan
            assert plan == folded.plan.model_copy(update={"folds": 1})

    def test_of_the_whole_all_images_are_training_images(self, folded):
        assert len(folded.folder.split.train) == 9
        assert not folded.folder.split.val


class TestTogether:
    def test_probabilities_are_the_mean_of_the_folds(self, folded):
        each = [
            uvala.load_run(folded.path / name).predict(IMAGE).probabilities for name in folded.card.members
        ]
        together = folded.predict(IMAGE).probabilities
        np.testing.assert_allclose(together, np.mean(each, axis=0), rtol=0, atol=1e-6)

    def test_there_is_no_temperature_beside_those_of_the_folds(self, folded):
        assert folded.card.temperature == 1.0

    def test_scores_are_out_of_fold(self, folded):
        scores = Scores.from_json(folded.folder.scores_path)
        assert {image.name for image in scores.images} == {f"{n:02d}.png" for n in range(9)}
        by_name = {image.name: image.mean_dice for image in scores.images}
        fold = uvala.load_run(folded.path / "fold-2")
        own = Scores.from_json(fold.folder.scores_path)
        assert {image.name: image.mean_dice for image in own.images} == {
            name: by_name[name] for name in fold.folder.split.val
        }

    def test_report_and_card_tell_the_score_out_of_fold(self, folded):
        assert "out of fold" in folded.report.read_text()
        assert folded.card.data.notes[0].startswith("each image by the network that was not trained on it")

    def test_is_evaluated_like_any_run(self, folded, tmp_path):
        other = write_discs(tmp_path / "other", count=2, size=(40, 40), values=(0, 255))
        for path in other.glob("*/*"):
            path.rename(path.with_name(f"new{path.name}"))
        assert len(folded.evaluate(other, subset="all").images) == 2

    def test_has_no_network_of_its_own(self, folded):
        with pytest.raises(RunError, match=r"the average of 3 networks.*fold-1"):
            folded.folder.model()

    def test_can_be_finished_once(self, folded):
        with pytest.raises(RunError, match="whose folds are finished"):
            uvala.train(folded.path, resume=True)


def test_test_images_are_scored_by_all_folds_together(data, tmp_path):
    names = [f"{n:02d}" for n in range(9)]
    (tmp_path / "split.json").write_text(str({"test": names[:3]}).replace("'", '"'))
    run = train_quickly(data, tmp_path / "run", steps=2, folds=2, split=tmp_path / "split.json")
    assert {image.name for image in Scores.from_json(run.folder.scores_path).images} == {
        f"{name}.png" for name in names[:3]
    }
    assert len(Scores.from_json(run.path / "out-of-fold/scores.json").images) == 6


@pytest.fixture(scope="module")
def stopped(data, tmp_path_factory):
    """Three folds of 12 steps, stopped in the second."""
    fold = 0

    def stop(event):
        nonlocal fold
        fold = event.get("number", fold) if event["event"] == "fold" else fold
        if fold == 2 and event["event"] == "validation":
            signal.raise_signal(signal.SIGINT)

    out = tmp_path_factory.mktemp("stopped") / "run"
    return train_quickly(data, out, steps=12, folds=FOLDS, listener=stop)


class TestStopped:
    def test_the_folds_so_far_can_be_used(self, stopped):
        assert not stopped.card.training.finished
        assert len(stopped.predictor.members) == 2
        assert stopped.predict(IMAGE).mask.shape == IMAGE.shape
        assert stopped.report.is_file()

    def test_a_resume_does_what_is_left_and_no_more(self, stopped, tmp_path):
        run = uvala.load_run(shutil.copytree(stopped.path, tmp_path / "run"))
        began = []
        whole = uvala.train(
            run.path,
            resume=True,
            listener=lambda e: began.append(e["number"]) if e["event"] == "fold" else None,
        )
        assert began == [2, 3]
        assert whole.card.training.finished
        assert whole.card.training.steps == 3 * 12
        assert len(uvala.load_run(run.path).predictor.members) == 3

    def test_a_fold_resumes_by_itself(self, stopped, tmp_path):
        shutil.copytree(stopped.path, tmp_path / "run")
        fold = uvala.train(tmp_path / "run/fold-2", resume=True)
        assert fold.card.training.finished
        steps = [e["step"] for e in read_events(fold.folder.log_path) if e["event"] == "validation"]
        assert steps == [3, 6, 9, 12]


def test_what_goes_wrong_in_one_leaves_the_others(data, tmp_path):
    fold = 0

    def fail(event):
        nonlocal fold
        fold = event.get("number", fold)
        if fold == 2 and event["event"] == "validation":
            raise DataError(found="trouble", expected="none", fix="try again")

    with pytest.raises(DataError):
        train_quickly(data, tmp_path / "run", steps=2, folds=2, listener=fail)
    assert uvala.load_run(tmp_path / "run").predict(IMAGE).mask.shape == IMAGE.shape
    assert uvala.train(tmp_path / "run", resume=True).card.training.finished


class TestRefused:
    def test_more_folds_than_images(self, data, tmp_path):
        with pytest.raises(SplitError, match="for 12 folds"):
            train_quickly(data, tmp_path / "run", steps=1, folds=12)
        assert not (tmp_path / "run").exists()

    def test_too_little_time_for_each(self, data, tmp_path):
        with pytest.raises(BudgetError, match=r"40 s for 5 folds.*at least 10 s for each"):
            uvala.train(data, out=tmp_path / "run", budget="40s", folds=5)
        assert not (tmp_path / "run").exists()
