"""How the folds of a run share its time."""

import pytest

from drawn import write_discs
from trainings import train_quickly
from uvala.api.fold_times import folds_of, seconds_for_fresh
from uvala.api.preparing import pixels_after
from uvala.config import override
from uvala.data.dataset import read_dataset
from uvala.data.splits import Split
from uvala.plan.budget import Clock
from uvala.plan.schema import write_plan
from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import read_progress


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    folder = tmp_path_factory.mktemp("folds")
    return train_quickly(write_discs(folder / "data"), folder / "run", steps=2, folds=2).folder


def test_time_is_kept_for_every_view_of_an_image(run, monkeypatch):
    """The pace is that of validations, which look at one view; eight take seven times as long on top."""
    monkeypatch.setattr("uvala.api.fold_times.page_seconds", lambda: 0.0)
    dataset, left = read_dataset(run.card.data.path), []
    for views in (False, True):
        changes = dict.fromkeys(("test_time.flip_vertical", "test_time.quarter_turns"), views)
        write_plan(run.plan_path, override(run.plan, changes, where="the plan"), {})
        left.append(seconds_for_fresh(RunFolder(run.path), dataset, Clock(10_000.0)))
    pace = max(read_progress(fold).seconds_per_pixel for fold in folds_of(run))
    trained, tested = (48 * 64 * len(names) for names in (run.split.train, run.split.test))
    assert left[0] - left[1] == pytest.approx(7 * pace * (2 * trained + 2 * tested), rel=0.05, abs=0.02)


def test_none_gets_more_than_there_is(run):
    dataset = read_dataset(run.card.data.path)
    assert seconds_for_fresh(run, dataset, Clock(60.0, used=45.0)) >= 10  # at the cost of the end
    assert 0 < seconds_for_fresh(run, dataset, Clock(60.0, used=55.0)) < 5
    assert seconds_for_fresh(run, dataset, Clock(60.0, used=65.0)) == 0


def test_of_folds_every_image_is_predicted_after_the_training(tmp_path):
    """Of 8 images in 2 folds: each decides by its 4 and scores them, and so do both together at the end."""
    dataset = read_dataset(write_discs(tmp_path / "data", count=10))
    names = [f"{number:02d}.png" for number in range(10)]
    split = Split(train=names[:6], val=names[6:8], test=names[8:])
    image = 48 * 64
    assert pixels_after(dataset, split) == (2 + 2) * image
    assert pixels_after(dataset, split, folds=2) == (4 + 4 + 4 + 4 + 2) * image
