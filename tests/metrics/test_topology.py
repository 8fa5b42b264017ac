"""Connectedness of masks, against scikit-image, a flood fill and drawings whose numbers can be seen."""

import numpy as np
import pytest
from skimage.measure import euler_number, label
from skimage.morphology import skeletonize

from mask_pairs import mask_pairs
from uvala.errors import ShapeError
from uvala.metrics import topology
from uvala.metrics.topology import betti_errors, betti_numbers, cl_dice

FOUR = [(0, 1), (1, 0), (0, -1), (-1, 0)]
EIGHT = [*FOUR, (1, 1), (1, -1), (-1, 1), (-1, -1)]


def drawn(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


RING = drawn("####", "#..#", "#..#", "####")
DIAMOND = drawn(".#.", "#.#", ".#.")
TWO_DOTS = drawn("#...", "....", "..#.", "....")
EMPTY, FULL = np.zeros((4, 4), bool), np.ones((4, 4), bool)


def pieces(mask, neighbours):
    """The definition: how often one must start to walk until all of the mask was visited."""
    left, count = set(zip(*np.nonzero(mask), strict=True)), 0
    while left:
        walk, count = [left.pop()], count + 1
        while walk:
            y, x = walk.pop()
            reached = {(y + dy, x + dx) for dy, dx in neighbours} & left
            left -= reached
            walk += reached
    return count


def cl_dice_by_definition(prediction, truth):
    """Shit et al., equations 1 and 2."""
    s_p, s_t = skeletonize(prediction), skeletonize(truth)
    if not (s_p.any() and s_t.any()):
        return 0 if s_p.any() or s_t.any() else np.nan
    precision, sensitivity = (s_p & truth).sum() / s_p.sum(), (s_t & prediction).sum() / s_t.sum()
    return 2 * precision * sensitivity / max(precision + sensitivity, 1e-300)


class TestBettiNumbers:
    """Objects with 8 neighbours, holes with 4."""

    @pytest.mark.parametrize(
        ("mask", "expected"),
        [
            (EMPTY, (0, 0)),
            (FULL, (1, 0)),
            (RING, (1, 1)),
            (DIAMOND, (1, 1)),  # its pixels share corners: joined, and tight
            (TWO_DOTS, (2, 0)),
            (~TWO_DOTS, (1, 1)),  # the dot in the corner of the image is not enclosed
            (np.ones((1, 1), bool), (1, 0)),
            (drawn("#.#.#"), (3, 0)),
            (EMPTY[:0], (0, 0)),
        ],
    )
    def test_equal_what_one_sees(self, mask, expected):
        assert betti_numbers(mask) == expected

    def test_equal_a_flood_fill(self):
        for mask, _ in mask_pairs(1000):
            outside = np.pad(~mask, 1, constant_values=True)
            assert betti_numbers(mask) == (pieces(mask, EIGHT), pieces(outside, FOUR) - 1)

    def test_their_difference_is_the_euler_number_of_scikit_image(self):
        for mask, _ in mask_pairs(1000, seed=1):
            components, holes = betti_numbers(mask)
            assert components == label(mask, connectivity=2).max()
            assert components - holes == euler_number(mask, connectivity=2)


class TestBettiErrors:
    """How many too many or too few."""

    @pytest.mark.parametrize(
        ("prediction", "truth", "expected"),
        [
            (EMPTY, EMPTY, (0, 0)),
            (EMPTY, RING, (1, 1)),
            (TWO_DOTS, EMPTY, (2, 0)),
            (TWO_DOTS, RING, (1, 1)),
            (RING, FULL, (0, 1)),
            (TWO_DOTS[::-1], TWO_DOTS, (0, 0)),  # numbers, not places
        ],
    )
    def test_equal_what_one_sees(self, prediction, truth, expected):
        assert betti_errors(prediction, truth) == expected

    def test_are_differences_of_the_numbers_of_both(self):
        for prediction, truth in mask_pairs(300, seed=2):
            errors = betti_errors(prediction, truth)
            assert errors == tuple(np.abs(np.subtract(betti_numbers(prediction), betti_numbers(truth))))

    def test_a_hole_where_nobody_looks_is_none(self):
        assert betti_errors(RING, FULL, counted=RING) == (0, 0)


class TestClDice:
    """Shares of the skeletons that lie in the other mask."""

    def test_equals_its_definition(self):
        for prediction, truth in mask_pairs(1000, seed=3):
            assert cl_dice(prediction, truth) == pytest.approx(
                cl_dice_by_definition(prediction, truth), abs=1e-12, nan_ok=True
            )

    def test_a_line_half_of_which_is_found_by_hand(self):
        truth = drawn("......", "######", "......")
        prediction = drawn("......", "###...", "......")
        assert cl_dice(prediction, truth) == pytest.approx(2 * 1 * 0.5 / 1.5)

    def test_a_line_as_wide_as_one_likes_scores_1_around_its_middle(self):
        truth = np.zeros((15, 40), bool)
        truth[7] = True
        thick = np.zeros_like(truth)
        thick[5:10] = True
        assert cl_dice(thick, truth) > 0.95

    @pytest.mark.parametrize(
        ("prediction", "truth", "expected"),
        [
            (EMPTY, EMPTY, np.nan),
            (EMPTY, RING, 0),
            (RING, EMPTY, 0),
            (RING, RING, 1),
            (TWO_DOTS, ~TWO_DOTS, 0),
            (EMPTY[:0], EMPTY[:0], np.nan),
        ],
        ids=["absent", "missed", "spurious", "found", "apart", "no pixels"],
    )
    def test_empty_cases(self, prediction, truth, expected):
        assert cl_dice(prediction, truth) == pytest.approx(expected, nan_ok=True)

    @pytest.mark.parametrize("cost_of_an_object", [-(10**9), 10**9], ids=["apart", "together"])
    def test_objects_thinned_apart_or_together_are_the_same(self, cost_of_an_object, monkeypatch):
        monkeypatch.setattr(topology, "PIXELS_PER_OBJECT", cost_of_an_object)
        for prediction, truth in mask_pairs(300, seed=4):
            assert cl_dice(prediction, truth) == pytest.approx(
                cl_dice_by_definition(prediction, truth), abs=1e-12, nan_ok=True
            )

    def test_what_is_drawn_where_nobody_looks_does_not_matter(self):
        rng = np.random.default_rng(5)
        for prediction, truth in mask_pairs(100, seed=6):
            counted, noise = rng.random((2, *truth.shape)) < 0.8
            expected = cl_dice(prediction & counted, truth & counted)
            found = cl_dice(prediction ^ (noise & ~counted), truth, counted=counted)
            assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("score", [cl_dice, betti_errors])
@pytest.mark.parametrize(
    ("prediction", "options", "message"),
    [
        (RING.astype(np.uint8), {}, "a prediction of shape .* type uint8"),
        (RING[1:], {}, "for a truth of shape"),
        (RING, {"counted": RING[1:]}, "a map of counted pixels"),
    ],
)
def test_impossible_input_is_refused_in_words(score, prediction, options, message):
    with pytest.raises(ShapeError, match=message):
        score(prediction, RING, **options)


def test_betti_numbers_of_a_volume_are_refused():
    with pytest.raises(ShapeError, match="slice by slice"):
        betti_numbers(RING[None])
