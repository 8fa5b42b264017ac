"""A validation that several ranks share has the result of one that a single rank makes."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from drawn import write_discs, write_touching_squares
from jobs import job
from uvala.arrays import IGNORE
from uvala.data.dataset import read_dataset
from uvala.data.target_config import TargetConfig
from uvala.data.targets import make_target
from uvala.runs.inference import Outputs
from uvala.training.distributed import World
from uvala.training.loop import Training
from uvala.training.validate import _overlap, validate


@dataclass(frozen=True)
class Alone(World):
    """A rank of several that hears nothing of the others; told: what it tells them."""

    told: list = field(default_factory=list)

    def total(self, values):
        self.told.append(values)
        return values

    def any(self, flag):
        return flag


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("validation")
    return Training(job(write_discs(folder / "discs", count=8, values=(0, 100, 200)), folder / "run"))


def validated(training, world: World, samples: int = 8, **options):
    plan, network = training.job.plan, training.job.network
    return validate(
        training.model,
        training.judge.store,
        training.job.dataset.samples[:samples],
        network,
        plan.tiles,
        training.job.device,
        world=world,
        **options,
    )


@pytest.mark.parametrize("size", [2, 3, 11])
def test_the_sums_of_all_ranks_are_those_of_one(training, size):
    whole = Alone(0, 1)
    validated(training, whole)
    told = []
    for rank in range(size):
        world = Alone(rank, size)
        validated(training, world)
        told += world.told
    np.testing.assert_array_equal(sum(told), whole.told[0])


def test_each_image_is_looked_at_once(training):
    assert [validated(training, Alone(rank, 3)).images for rank in range(3)] == [3, 3, 2]


def test_a_time_limit_ends_it_after_one_image(training):
    assert validated(training, World.alone(), time_limit=0.0).images == 1


def test_says_which_classes_are_there_and_which_are_predicted(training):
    found = validated(training, World.alone())
    assert found.present == (0, 1, 2)
    assert set(found.predicted) <= {0, 1, 2}


def test_as_many_images_are_looked_at_as_was_said(disc_data, tmp_path):
    training = Training(job(disc_data, tmp_path, validated=2, settings={"length.steps": 1}))
    training.run(lambda: False)
    assert training.progress.validated == 2


def test_borders_do_not_count_where_the_target_ignores_them(tmp_path):
    data = read_dataset(write_touching_squares(tmp_path / "squares"))
    sample = data.samples[0]
    classes = data.classes(sample).copy()
    classes[4:10, 3] = IGNORE  # beside the first square, whose outline there nobody knows
    target = make_target(data, sample, classes, TargetConfig(objects="borders"))
    found = np.isin(target.classes, (2, IGNORE)).astype(np.float32)
    inside = (target.classes == 1).astype(np.float32)
    outputs = Outputs(np.stack([1 - inside - found, inside + found]), borders=found)
    stored = SimpleNamespace(classes=classes, target=target)
    overlap, sums = _overlap(outputs, stored, SimpleNamespace(num_classes=2))
    assert overlap == sums == 2 * np.count_nonzero(target.classes == 2)
