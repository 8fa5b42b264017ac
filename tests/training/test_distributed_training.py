"""A training by several processes: as if it were one, and not lost when one of them is."""

import shutil

import numpy as np
import pytest
from torch.testing import assert_close

from jobs import same, state, train, weights
from many_ranks import run_ranks
from rank_tasks import judged_late, losses, train_together
from uvala.errors import RankError
from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import read_progress

DEFAULT = {"patches.batch": 4}
TERMS = ("binary_cross_entropy", "focal", "tversky", "lovasz", "cldice", "boundary")
EVERY_LOSS = {
    **{f"loss.{term}": 1.0 for term in TERMS},
    "loss.hard_pixels": 0.5,
    "loss.dice_over": "sample",
    "loss.label_smoothing": 0.1,
}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A training by two ranks that nothing disturbs."""
    out = tmp_path_factory.mktemp("whole")
    return out, run_ranks(train_together, 2, data, out)


class TestLossCurve:
    """P19: with one global batch, so many ranks have the losses of one process."""

    @pytest.fixture(scope="class")
    @classmethod
    def alone(cls, data):
        return losses(data, 30, DEFAULT)

    @pytest.mark.parametrize(("ranks", "steps"), [(2, 30), (4, 8)])
    def test_is_that_of_one_process(self, data, alone, ranks, steps):
        for found in run_ranks(losses, ranks, data, steps, DEFAULT):
            np.testing.assert_allclose(found, alone[:steps], rtol=0, atol=1e-11)

    def test_falls(self, alone):
        assert alone[-1] < alone[0] - 0.05

    def test_is_that_of_one_process_with_every_loss(self, data):
        settings = DEFAULT | EVERY_LOSS
        alone = losses(data, 3, settings)
        for found in run_ranks(losses, 2, data, 3, settings):
            np.testing.assert_allclose(found, alone, rtol=0, atol=1e-10)


class TestTogether:
    def test_all_ranks_end_with_the_same_weights(self, whole):
        one, two = whole[1]
        assert_close(one, two, rtol=0, atol=0)

    def test_only_rank_0_writes(self, whole):
        out, _ = whole
        assert (out / "model.safetensors").is_file()
        assert not list((out / "rank-1").rglob("*.safetensors"))

    def test_rank_0_decides_for_all_which_weights_are_the_best(self, data, tmp_path):
        assert run_ranks(judged_late, 2, data, tmp_path) == [2, 2]


class TestKilledRank:
    @pytest.fixture(scope="class")
    @classmethod
    def cut(cls, data, tmp_path_factory):
        """A training whose rank 1 is killed before the seventh step."""
        out = tmp_path_factory.mktemp("cut")
        return out, run_ranks(train_together, 2, data, out, last=9)

    def test_ends_the_others_with_a_word_about_going_on(self, cut):
        first, second = cut[1]
        assert second is None
        assert isinstance(first, RankError)
        assert "--resume" in str(first)

    def test_a_resume_is_bit_equal_to_the_training_that_was_never_cut(self, data, cut, whole, tmp_path):
        out = shutil.copytree(cut[0], tmp_path / "run")
        run_ranks(train_together, 2, data, out, resume=True)
        assert same(weights(out), weights(whole[0]))
        assert same(state(out), state(whole[0]))

    def test_another_number_of_ranks_goes_on(self, data, cut, tmp_path):
        out = shutil.copytree(cut[0], tmp_path / "run")
        assert read_progress(RunFolder(out)).step == 4
        train(data, out, resume=True)
        assert read_progress(RunFolder(out)).step == 12
        assert all(np.isfinite(value).all() for value in weights(out).values())
