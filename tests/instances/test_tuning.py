"""The search finds what is better, never what is worse, and stops on time."""

import numpy as np
import pytest
from scipy import ndimage

from uvala.errors import ConfigError, ShapeError
from uvala.instances.config import ObjectConfig
from uvala.instances.decode import Maps, find_objects
from uvala.instances.tuning import tune

LONG = 600.0  # seconds; the searches here take far less


def agreement(found, truths):
    """Share of the true objects that are found pixel by pixel, less the false ones."""
    right = wrong = total = 0
    for labels, truth in zip(found, truths, strict=True):
        shapes = {(truth == number).tobytes() for number in range(1, truth.max() + 1)}
        predicted = {(labels == number).tobytes() for number in range(1, labels.max() + 1)}
        right, wrong, total = (
            right + len(shapes & predicted),
            wrong + len(predicted - shapes),
            total + len(shapes),
        )
    return (right - wrong) / total


def two_cells(distance=9):
    """Two discs that touch, as one sees them and as a network might: (maps, truth)."""
    y, x = np.mgrid[:21, : 21 + distance]
    left, right = (y - 10) ** 2 + (x - 10) ** 2, (y - 10) ** 2 + (x - 10 - distance) ** 2
    truth = np.where(np.minimum(left, right) <= 36, np.where(left <= right, 1, 2), 0).astype(np.int32)
    return Maps(np.where(truth > 0, 0.9, 0.05).astype(np.float32)), truth


def with_noise(case, seed):
    """Single pixels of false foreground, of less certainty than the cells."""
    maps, truth = case
    specks = (np.random.default_rng(seed).random(truth.shape) > 0.95) & ~ndimage.binary_dilation(
        truth > 0, iterations=2
    )
    return Maps(np.where(specks, np.float32(0.8), maps.foreground)), truth


def middles(truth):
    """1 in the middle of each object, down to 0 at its outline: float [H, W]."""
    distance = np.max([ndimage.distance_transform_edt(truth == number) for number in (1, 2)], axis=0)
    return (distance / distance.max()).astype(np.float32)


def find(maps, config):
    return find_objects(maps.foreground, config, borders=maps.borders, distance=maps.distance)


def test_touching_cells_make_it_choose_the_watershed():
    tuned = tune([two_cells(9), two_cells(11)], agreement, ObjectConfig(), seconds=LONG)
    assert (tuned.config.method, tuned.score, tuned.finished) == ("watershed", 1.0, True)
    assert tuned.base_score < 1


def test_cells_between_blurred_membranes_make_it_choose_the_probability():
    truth = np.zeros((24, 36), np.int32)
    truth[2:22, 2:17], truth[2:22, 19:34] = 1, 2
    cell = np.where(truth > 0, 0.95, 0.1).astype(np.float32)
    cell[10:14, 17:19] = 0.7  # a gap in the membrane, wide enough for no neck, likelier than the cells' rims
    rim = (truth > 0) & (ndimage.minimum_filter(truth, 3) != truth)
    cell[rim] = 0.6
    tuned = tune([(Maps(cell), truth)], agreement, ObjectConfig(), seconds=LONG)
    assert (tuned.config.method, tuned.config.threshold < tuned.config.seed_threshold) == (
        "probability",
        True,
    )
    assert tuned.score > tuned.base_score


def test_specks_make_it_choose_a_size_or_a_threshold():
    base = ObjectConfig(method="watershed")
    tuned = tune([with_noise(two_cells(), 0), with_noise(two_cells(), 1)], agreement, base, seconds=LONG)
    assert tuned.score == 1.0
    assert tuned.config.min_size > 1 or tuned.config.threshold >= 0.8


def test_a_predicted_map_is_used_only_if_every_image_has_it():
    maps, truth = two_cells(6)  # too close for a neck
    outline = ndimage.minimum_filter(truth, 3) != ndimage.maximum_filter(truth, 3)
    told = Maps(maps.foreground, np.where(outline & (truth > 0), maps.foreground, 0).astype(np.float32))
    base = ObjectConfig(seed_depth=5.0)
    assert tune([(told, truth)], agreement, base, seconds=LONG).score == 1.0
    assert tune([(told, truth), (maps, truth)], agreement, base, seconds=LONG).config.method != "borders"


def random_cases(rng):
    cases = []
    for _ in range(2):
        smooth = ndimage.gaussian_filter(rng.normal(size=(16, 16)), 1.5)
        foreground = ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)
        cases.append((Maps(foreground, None, foreground), ndimage.label(rng.random((16, 16)) > 0.5)[0]))
    return cases


def overlap(found, truths):
    """Anything that differs between most settings."""
    return float(np.mean([np.mean(a == b) for a, b in zip(found, truths, strict=True)]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", ["components", "watershed", "distance"])
def test_the_score_is_that_of_the_settings_and_not_below_that_of_the_base(seed, method):
    cases = random_cases(np.random.default_rng(seed))
    base = ObjectConfig(method=method, max_hole=2)
    tuned = tune(cases, overlap, base, seconds=0.3)
    truths = [truth for _, truth in cases]
    assert tuned.base_score == overlap([find(maps, base) for maps, _ in cases], truths)
    assert tuned.score == overlap([find(maps, tuned.config) for maps, _ in cases], truths)
    assert tuned.score >= tuned.base_score


def test_no_other_threshold_would_be_better():
    cases = random_cases(np.random.default_rng(5))
    best = tune(cases, overlap, ObjectConfig(), seconds=LONG)
    for threshold in (0.1, 0.3, 0.5, 0.7, 0.9):
        other = best.config.model_copy(update={"threshold": threshold})
        assert overlap([find(maps, other) for maps, _ in cases], [truth for _, truth in cases]) <= best.score


def test_it_finds_the_same_again():
    cases = random_cases(np.random.default_rng(6))
    assert tune(cases, overlap, ObjectConfig(), seconds=LONG) == tune(
        cases, overlap, ObjectConfig(), seconds=LONG
    )


def test_if_all_settings_are_equally_good_it_stays_where_it_was():
    base = ObjectConfig(method="watershed", threshold=0.45, min_size=3)
    tuned = tune([two_cells()], lambda found, truths: 0.5, base, seconds=LONG)
    assert (tuned.config, tuned.score, tuned.base_score) == (base, 0.5, 0.5)


def test_of_equally_good_methods_it_takes_the_simplest_even_if_that_is_found_last():
    maps, truth = two_cells()
    told = Maps(maps.foreground, None, middles(truth))
    base = ObjectConfig(seed_depth=5.0)  # with which "distance" succeeds at once, and "watershed" does not
    tuned = tune([(told, truth)], lambda found, truths: float(found[0].max() == 2), base, seconds=LONG)
    assert (tuned.base_score, tuned.score, tuned.config.method) == (0, 1, "watershed")


def test_without_time_the_base_is_scored_and_nothing_else():
    tuned = tune([two_cells()], agreement, ObjectConfig(), seconds=0)
    assert (tuned.config, tuned.tried, tuned.finished) == (ObjectConfig(), 1, False)


def test_it_stops_on_time_with_the_best_so_far(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("uvala.instances.tuning.time.monotonic", lambda: clock[0])

    def a_second_each(found, truths):
        clock[0] += 1
        return agreement(found, truths)

    tuned = tune([two_cells()], a_second_each, ObjectConfig(), seconds=5.0)
    assert not tuned.finished
    assert tuned.tried == 6  # the base, and what began before the fifth second was over


def test_no_setting_is_scored_twice():
    seen = []

    def score(found, truths):
        seen.append(0)
        return agreement(found, truths)

    assert tune([two_cells()], score, ObjectConfig(), seconds=LONG).tried == len(seen)


def test_a_score_that_is_no_number_is_the_worst():
    def only_two(found, truths):
        return 1.0 if found[0].max() == 2 else float("nan")

    tuned = tune([two_cells()], only_two, ObjectConfig(), seconds=LONG)
    assert tuned.score == 1.0
    assert np.isnan(tuned.base_score)


def test_images_without_an_object_are_fine():
    maps, truth = two_cells()
    assert tune([(maps, 0 * truth)], overlap, ObjectConfig(), seconds=LONG).score == 1.0


def test_what_cannot_be_tuned_is_refused():
    maps, truth = two_cells()
    with pytest.raises(ConfigError, match="no image to tune on"):
        tune([], agreement, ObjectConfig(), seconds=1)
    with pytest.raises(ConfigError, match="predicts no borders"):
        tune([(maps, truth)], agreement, ObjectConfig(method="borders"), seconds=1)
    with pytest.raises(ShapeError, match="map of foreground"):
        tune([(Maps(100 * maps.foreground), truth)], agreement, ObjectConfig(), seconds=1)


def test_only_the_methods_asked_for_are_compared():
    cases = [two_cells(9), two_cells(11)]
    tuned = tune(cases, agreement, ObjectConfig(), seconds=LONG, methods=("components",))
    assert (tuned.config.method, tuned.score < 1) == ("components", True)
