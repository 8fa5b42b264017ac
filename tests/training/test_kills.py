"""P16: after SIGKILL at any moment a resume gives the training that was never stopped, bit for bit."""

import sys

import pytest

from jobs import equal, train
from kills import killed
from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import read_progress

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")

# 12 steps, validations at 4, 8 and 12, a checkpoint after each step and each validation
SOME = {
    "in a step": ("torch.optim.AdamW.step", 7),
    "between the best weights and the log": ("uvala.log.EventLog.append", 2),
    "between the names of two generations": ("os.replace", 16),
}
MORE = {
    "before the first step": ("uvala.training.loop.make_step", 1),
    "in the first step": ("torch.optim.AdamW.step", 1),
    "before the first validation": ("uvala.training.validate.predict_outputs", 1),
    "in a validation": ("uvala.training.validate.predict_outputs", 5),
    "while the best weights are written": ("uvala.runs.folder.write_bytes", 2),
    "between a validation and its checkpoint": ("uvala.training.loop.pack_state", 10),
    "while a checkpoint is written": ("uvala.training.checkpoint.write_with", 9),
    "before a file gets its name": ("os.replace", 12),
    "in the last validation": ("uvala.training.validate.predict_outputs", 9),
    "after the last step": ("uvala.training.loop.pack_state", 15),
}


class TestKilled:
    @pytest.mark.parametrize(("at", "call"), SOME.values(), ids=SOME)
    def test_once(self, data, whole, tmp_path, at, call):
        assert killed(data, tmp_path, at, call)
        train(data, tmp_path, resume=True)
        assert equal(whole, tmp_path)
        assert read_progress(RunFolder(tmp_path)).best_step == read_progress(RunFolder(whole)).best_step

    @pytest.mark.slow  # a process for each of ten moments
    @pytest.mark.parametrize(("at", "call"), MORE.values(), ids=MORE)
    def test_at_any_other_moment(self, data, whole, tmp_path, at, call):
        assert killed(data, tmp_path, at, call)
        train(data, tmp_path, resume=True)
        assert equal(whole, tmp_path)

    @pytest.mark.slow  # four processes
    def test_again_and_again(self, data, whole, tmp_path):
        times = 0
        while killed(data, tmp_path, "torch.optim.AdamW.step", 4, resume=times > 0):
            times += 1
        assert times == 3
        assert equal(whole, tmp_path)

    def test_nothing_temporary_is_left(self, data, tmp_path):
        assert killed(data, tmp_path, "os.fsync", 6)
        assert list(tmp_path.rglob("*.part"))
        train(data, tmp_path, resume=True)
        assert not list(tmp_path.rglob("*.part"))
