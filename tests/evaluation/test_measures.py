"""Every measure of an evaluation: its name, its empty cases, and that all honour the same pixels."""

import numpy as np
import pytest
from scipy import ndimage

from uvala.arrays import IGNORE
from uvala.evaluation.case import Case, Method
from uvala.evaluation.evaluate import MAIN, evaluate
from uvala.evaluation.measures import KINDS, kind_of
from uvala.evaluation.task import FoundTask
from uvala.metrics.instances import object_counts
from uvala.metrics.overlap import overlaps
from uvala.metrics.partitions import v_rand
from uvala.metrics.surfaces import hd95

NAMES = ("background", "cell")
TASKS = ("semantic", "membranes", "instances")


def random_case(rng, size=(16, 16), name="0.png", **more):
    """An image with its truth, a prediction that is often right, and probabilities that fit it."""
    truth = (ndimage.uniform_filter(rng.random(size), 3) > 0.5).astype(np.uint8)
    cell = np.clip(0.25 + 0.5 * truth + rng.normal(0, 0.2, size), 0, 1).astype(np.float32)
    probabilities = np.stack([1 - cell, cell])
    return Case(name, truth, probabilities.argmax(0).astype(np.uint8), probabilities, **more)


def measured(*cases, task="semantic", **settings):
    """The scores of these cases with every measure there is."""
    settings = {"task": task, "topology": "all", "resamples": 100, **settings}
    return evaluate(cases, NAMES, "test", settings=settings)


def of_image(case, task):
    return measured(case, task=task).images[0].measures


class TestNames:
    """A measure is called the same in the code, in the files and in the report."""

    @pytest.mark.parametrize("task", TASKS)
    def test_every_measure_is_described(self, task):
        scores = measured(random_case(np.random.default_rng(0)), task=task)
        assert {name.partition("/")[0] for name in scores.images[0].measures} <= set(KINDS)
        assert all(measure.words for measure in scores.measures)

    def test_the_three_tasks_together_use_every_name(self):
        cases = [measured(random_case(np.random.default_rng(0)), task=task) for task in TASKS]
        used = {measure.name.partition("/")[0] for scores in cases for measure in scores.measures}
        counts = {name for name, kind in KINDS.items() if kind.is_count}
        assert used | counts == set(KINDS)

    @pytest.mark.parametrize("task", TASKS)
    def test_the_main_measure_is_one_of_the_image_s(self, task):
        scores = measured(random_case(np.random.default_rng(0)), task=task)
        assert scores.main == MAIN[task]
        assert scores.main in scores.images[0].measures
        assert scores.main_value is not None


class TestValues:
    """The measures of an image are those of the metrics, which have tests of their own."""

    def test_objects(self):
        rng = np.random.default_rng(1)
        true, ours = (ndimage.label(rng.random((16, 16)) > 0.6)[0].astype(np.int32) for _ in range(2))
        case = Case("a", (true > 0).astype(np.uint8), (ours > 0).astype(np.uint8), None, true, ours)
        counts = object_counts(overlaps(ours, true))
        scores = measured(case, task="instances")
        assert scores.images[0].measures["ap"] == pytest.approx(counts.mean_ap)
        assert scores.objects.ap == pytest.approx(counts.ap)
        assert scores.objects.true_objects == true.max()
        assert scores.main_value == pytest.approx(counts.mean_ap)

    def test_objects_are_ranked_by_the_pixels_that_count(self):
        truth = np.zeros((6, 12), np.int32)
        truth[2:4, 0:4] = 1
        objects = truth.copy()
        objects[2:4, 6:10] = 2  # spurious
        foreground = np.where(objects == 1, 0.6, 0.5).astype(np.float32) * (objects > 0)
        region = np.ones((6, 12), bool)
        region[:, 9:] = False
        foreground[:, 9:] = 1.0  # would raise the mean of the spurious object above that of the true one
        mask, predicted = (truth > 0).astype(np.uint8), (objects > 0).astype(np.uint8)
        case = Case("a", mask, predicted, None, truth, objects, foreground, region)
        assert measured(case, task="instances").objects.coco_ap == 1

    def test_cells(self):
        case = random_case(np.random.default_rng(2))
        cells = [ndimage.label(each == 1)[0] for each in (case.prediction, case.truth)]
        scores = measured(case, task="membranes")
        assert scores.images[0].measures["v_rand"] == pytest.approx(float(v_rand(*cells)))
        assert scores.partition.plain.v_rand[4] == pytest.approx(float(v_rand(*cells)))  # at 0.5
        assert scores.objects.from_components

    def test_outlines_in_a_physical_unit(self):
        case = random_case(np.random.default_rng(3))
        expected = hd95(case.prediction == 1, case.truth == 1, spacing=(0.5, 0.25))
        scores = measured(case, spacing=(0.5, 0.25), unit="um")
        assert scores.images[0].measures["hd95/cell"] == pytest.approx(expected)
        measure = next(each for each in scores.measures if each.name == "hd95/cell")
        assert (measure.unit, measure.higher_is_better) == ("um", False)

    def test_membranes_are_what_is_looked_at_not_the_cells(self):
        names = measured(random_case(np.random.default_rng(4)), task="membranes").images[0].measures
        assert "hd95/background" in names
        assert "hd95/cell" not in names

    def test_the_best_threshold_is_that_of_the_mean_over_images(self):
        cases = [random_case(np.random.default_rng(seed), name=str(seed)) for seed in range(5)]
        scores = measured(*cases, task="membranes")
        curve = scores.partition.plain
        assert curve.best_v_rand == max(curve.v_rand)
        values = [image.measures["v_rand_best"] for image in scores.images]
        assert np.mean(values) == pytest.approx(curve.best_v_rand)


class TestPixelsThatDoNotCount:
    """Ignored in truth, or outside the field of view: every measure treats them alike."""

    @pytest.mark.parametrize("task", TASKS)
    @pytest.mark.parametrize("seed", range(5))
    def test_an_ignored_pixel_is_a_pixel_outside_the_region(self, task, seed):
        rng = np.random.default_rng(seed)
        outside = ndimage.uniform_filter(rng.random((16, 16)), 5) > 0.52
        case = random_case(rng)
        ignored = np.where(outside, IGNORE, case.truth).astype(np.uint8)
        truths = (ignored, case.truth)
        # the same objects: where truth is ignored, nothing says what hangs together
        objects = None if task == "semantic" else ndimage.label(case.truth == 1)[0].astype(np.int32)
        found = [
            of_image(Case("a", truth, case.prediction, case.probabilities, objects, region=region), task)
            for truth, region in zip(truths, (None, ~outside), strict=True)
        ]
        assert found[0] == pytest.approx(found[1], nan_ok=True)

    def test_what_is_predicted_there_changes_nothing(self):
        case = random_case(np.random.default_rng(5))
        region = np.ones((16, 16), bool)
        region[:, :5] = False
        other = np.where(region, case.probabilities, case.probabilities[::-1])
        found = [
            of_image(Case("a", case.truth, p.argmax(0).astype(np.uint8), p, region=region), "semantic")
            for p in (case.probabilities, other)
        ]
        assert found[0] == pytest.approx(found[1], nan_ok=True)

    @pytest.mark.parametrize("task", ["membranes", "instances"])
    def test_objects_that_lie_there_change_nothing(self, task):
        region = np.ones((12, 12), bool)
        region[:, :5] = False
        truth, more = np.zeros((12, 12), np.int32), np.zeros((12, 12), np.int32)
        truth[2:5, 7:10] = more[2:5, 7:10] = 1
        more[6:9, 1:4] = 2
        found = [
            of_image(Case("a", classes, classes, None, truth, objects, region=region), task)
            for classes, objects in (((each > 0).astype(np.uint8), each) for each in (truth, more))
        ]
        assert found[0] == pytest.approx(found[1], nan_ok=True)

    def test_nothing_that_counts_has_no_score_in_any_measure(self):
        case = random_case(np.random.default_rng(6), region=np.zeros((16, 16), bool))
        for task in TASKS:
            known = {n: v for n, v in of_image(case, task).items() if v is not None}
            assert set(known.values()) <= {0.0}, known
            assert all(kind_of(name).is_count for name in known)

    def test_a_class_that_borders_only_on_ignored_pixels_has_no_distance(self):
        truth = np.zeros((12, 12), np.uint8)
        truth[3:9, 3:9] = IGNORE
        truth[5:7, 5:7] = 1
        prediction = np.zeros((12, 12), np.uint8)
        prediction[1, 1] = prediction[5:7, 5:7] = 1
        found = of_image(Case("a", truth, prediction), "semantic")
        assert found["hd95/cell"] is None
        assert found["dice/cell"] == pytest.approx(8 / 9)


FULL, EMPTY = np.ones((6, 8), np.uint8), np.zeros((6, 8), np.uint8)
SPOT = np.zeros((6, 8), np.uint8)
SPOT[2, 3] = 1
EDGE = np.zeros((6, 8), np.uint8)
EDGE[0] = 1
ROW, ROW_OFF = np.array([[0, 1, 1, 0, 1]], np.uint8), np.array([[1, 0, 0, 1, 0]], np.uint8)


class TestEmptyCases:
    """Absent is left out, missed and spurious count as the worst; nothing crashes."""

    @pytest.mark.parametrize("task", TASKS)
    @pytest.mark.parametrize("prediction", [FULL, EMPTY, SPOT, EDGE], ids=["full", "empty", "spot", "edge"])
    @pytest.mark.parametrize("truth", [FULL, EMPTY, SPOT, EDGE], ids=["full", "empty", "spot", "edge"])
    def test_every_combination_has_scores_within_their_range(self, task, prediction, truth):
        probabilities = np.stack([1 - prediction, prediction]).astype(np.float32)
        scores = measured(Case("a", truth, prediction, probabilities), task=task)
        for name, value in scores.images[0].measures.items():
            kind = kind_of(name)
            if value is None or kind.is_count or not kind.higher_is_better:
                continue
            assert (-1 if name.startswith("matthews") else 0) <= value <= 1, name

    @pytest.mark.parametrize("task", TASKS)
    def test_images_of_one_row(self, task):
        for truth, prediction, dice in ((ROW, ROW, 1), (ROW, ROW_OFF, 0), (ROW_OFF * 0, ROW, 0)):
            found = measured(("a", prediction, truth), task=task)
            assert found.images[0].measures["dice/cell"] == found.classes[1].dice == dice
            assert (found.main_value == 1) == (dice == 1)

    @pytest.mark.parametrize(
        ("prediction", "truth", "state"), [(EMPTY, SPOT, "missed"), (SPOT, EMPTY, "spurious")]
    )
    def test_the_distance_of_a_missed_or_spurious_class_is_the_diagonal(self, prediction, truth, state):
        scores = measured(("a", prediction, truth), spacing=(0.5, 0.25), unit="um")
        measures = {measure.name: measure for measure in scores.measures}
        for name in ("hd95/cell", "hd/cell", "assd/cell"):
            assert measures[name].mean == pytest.approx(np.hypot(6 * 0.5, 8 * 0.25))
            assert getattr(measures[name], state) == 1
        assert measures["nsd/cell"].mean == measures["boundary_iou/cell"].mean == 0

    def test_an_absent_class_has_no_distance_and_is_counted(self):
        scores = measured(("a", EMPTY, EMPTY), ("b", SPOT, SPOT))
        distance = next(measure for measure in scores.measures if measure.name == "hd95/cell")
        assert (distance.images, distance.absent, distance.missed, distance.spurious) == (1, 1, 0, 0)

    def test_both_conventions_are_there(self):
        far = np.roll(SPOT, 2, axis=1)
        scores = measured(("a", EMPTY, EMPTY), ("b", far, SPOT))
        measures = {measure.name: measure for measure in scores.measures}
        assert (measures["hd/cell"].mean, measures["hd/cell"].mean_absent_as_perfect) == (2, 1)
        assert (measures["nsd/cell"].mean, measures["nsd/cell"].mean_absent_as_perfect) == (1, 1)

    def test_a_score_that_is_not_defined_is_neither_absent_nor_perfect(self):
        # of a class that is all of the truth nothing can be rejected: TN / (TN + FP) is 0 / 0
        scores = measured(("a", SPOT, FULL), ("b", EMPTY, EMPTY), ("c", FULL, SPOT))
        found = next(measure for measure in scores.measures if measure.name == "specificity/cell")
        assert (found.images, found.absent, found.undefined) == (1, 1, 1)
        assert (found.mean, found.mean_absent_as_perfect) == (0, 1 / 2)

    def test_an_outline_along_ignored_pixels_only_is_not_defined(self):
        truth = np.full((6, 8), IGNORE, np.uint8)
        truth[2, 3] = 1
        scores = measured(("a", np.where(truth == 1, 1, 0).astype(np.uint8), truth))
        measures = {measure.name: measure for measure in scores.measures}
        assert (measures["hd95/cell"].images, measures["hd95/cell"].absent) == (0, 0)
        assert measures["hd95/cell"].undefined == 1
        assert measures["hd95/cell"].mean_absent_as_perfect is None
        assert measures["dice/cell"].undefined == 0

    def test_every_image_is_counted_once(self):
        pairs = [(p, t) for p in (FULL, EMPTY, SPOT) for t in (FULL, EMPTY, SPOT, EMPTY + IGNORE)]
        for task in TASKS:
            scores = measured(*[(str(place), *pair) for place, pair in enumerate(pairs)], task=task)
            for each in scores.measures:
                assert each.images + each.absent + each.undefined == len(pairs), each.name
                without_value = each.undefined if kind_of(each.name).of == "cells" else 0
                assert each.missed + each.spurious <= each.images + without_value, each.name

    def test_cells_drawn_where_truth_has_none_are_spurious_though_they_have_no_score(self):
        scores = measured(("a", SPOT, SPOT), ("b", SPOT, EMPTY), ("c", EMPTY, EMPTY), task="membranes")
        found = next(measure for measure in scores.measures if measure.name == "v_rand")
        assert (found.images, found.absent, found.spurious, found.undefined) == (1, 1, 1, 1)
        assert found.mean == scores.main_value == 1
        assert scores.images[1].measures["v_rand"] is None
        assert scores.partition.images_absent == 2

    @pytest.mark.parametrize(
        ("numbered", "given", "which"),
        [
            (True, True, ""),
            (False, True, "true"),
            (True, False, "predicted"),
            (False, False, "true and predicted"),
        ],
    )
    def test_objects_that_are_but_connected_pixels_are_said_to_be(self, numbered, given, which):
        objects = SPOT.astype(np.int32)
        case = Case("a", SPOT, SPOT, None, objects if numbered else None, objects if given else None)
        found = measured(case, task="instances").objects
        assert (found.from_components, found.components) == (which != "", which)
        assert bool(found.components_words) == (which != "")

    @pytest.mark.parametrize("name", ["objects", "cells", "pixels"])
    def test_a_class_may_be_called_like_anything_else(self, name):
        cases = [(str(place), SPOT, SPOT) for place in range(3)] + [("none", EMPTY, EMPTY)]
        for task in TASKS:
            found = [
                evaluate(cases, ("background", class_name), "test", settings={"task": task})
                for class_name in (name, "other")
            ]
            counts = [[(m.images, m.absent, m.undefined) for m in scores.measures] for scores in found]
            assert counts[0] == counts[1]

    def test_images_without_objects_are_counted(self):
        cases = [("a", EMPTY, EMPTY), ("b", SPOT, EMPTY), ("c", EMPTY, SPOT), ("d", SPOT, SPOT)]
        scores = measured(*cases, task="instances")
        found = next(measure for measure in scores.measures if measure.name == "ap")
        assert (found.images, found.absent, found.missed, found.spurious) == (3, 1, 1, 1)
        assert (found.mean, found.mean_absent_as_perfect) == pytest.approx((1 / 3, 1 / 2))
        assert scores.objects.images_absent == 1
        assert scores.objects.ap[0] == pytest.approx(1 / 3)


class TestHowSure:
    """Intervals are over images, and over groups of images that are alike."""

    def cases(self, groups=None):
        rng = np.random.default_rng(7)
        groups = groups or [""] * 8
        return [random_case(rng, name=f"{index}.png", group=group) for index, group in enumerate(groups)]

    @pytest.mark.parametrize("task", TASKS)
    def test_the_main_value_lies_within_its_interval(self, task):
        scores = measured(*self.cases(), task=task)
        low, high = scores.main_interval
        assert low < scores.main_value < high

    def test_every_measure_lies_within_its_interval(self):
        for measure in measured(*self.cases(), task="instances").measures:
            if measure.interval is not None:
                low, high = measure.interval
                assert low - 1e-9 <= measure.mean <= high + 1e-9

    def test_few_groups_have_no_interval_however_many_images_they_have(self):
        scores = measured(*self.cases(["a", "b", "c", "d"] * 2))
        assert scores.main_interval is None
        assert all(measure.interval is None for measure in scores.measures)

    def test_every_score_of_all_objects_lies_within_its_interval(self):
        objects = measured(*self.cases(), task="instances").objects
        for name in ("panoptic_quality", "segmentation_quality", "recognition_quality", "aggregated_jaccard"):
            low, high = getattr(objects, f"{name}_interval")
            assert low < getattr(objects, name) < high, name
        assert objects.f1_interval == objects.recognition_quality_interval
        assert objects.f1_interval[0] < objects.f1[0] < objects.f1_interval[1]

    def test_is_the_same_each_time(self):
        first, second = (measured(*self.cases(), task="instances") for _ in range(2))
        assert first == second


class TestRecord:
    """What was evaluated, and how, is in the scores."""

    def test_how_predictions_were_made_is_kept(self):
        method = Method("by hand", threshold=0.3, temperature=1.5)
        case = random_case(np.random.default_rng(8))
        scores = evaluate([case], NAMES, task=FoundTask("membranes"), method=method)
        assert scores.objects.method == "by hand"
        assert scores.partition.chosen_threshold == 0.3
        assert scores.probabilities.temperature == 1.5

    def test_groups_and_contents_are_kept(self):
        case = random_case(np.random.default_rng(9), group="patient 1", content="abc")
        image = measured(case).images[0]
        assert (image.group, image.content) == ("patient 1", "abc")

    def test_without_probabilities_nothing_is_said_of_them(self):
        scores = measured(("a", SPOT, SPOT))
        assert scores.probabilities is None
        assert scores.classes[1].roc_auc is None

    def test_the_policies_of_what_was_evaluated_are_written_down(self):
        case = random_case(np.random.default_rng(10))
        words = {"semantic": "diagonal", "membranes": "ISBI 2012", "instances": "AP, F1, PQ"}
        for task, word in words.items():
            assert word in measured(case, task=task).policy
        assert "diagonal" not in measured(case, outlines=False).policy

    def test_each_case_is_handed_on_with_its_scores(self):
        seen = []
        case = random_case(np.random.default_rng(11))
        evaluate([case], NAMES, settings={"task": "membranes"}, scored=lambda *each: seen.append(each))
        (shown, image) = seen[0]
        assert shown.objects.max() == ndimage.label(case.prediction == 1)[1]
        assert image.measures["v_rand"] is not None
