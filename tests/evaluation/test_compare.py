"""Two evaluations of the same images: pairs, tests, sentences."""

import json

import numpy as np
import pytest

from uvala.cli.compare import command
from uvala.errors import DataError, RunError
from uvala.evaluation.compare import compare, read_scores
from uvala.evaluation.compare_text import comparison_sentence, comparison_text, distinct_names
from uvala.evaluation.scores import ClassScore, ImageScore, Measure, Scores
from uvala.metrics.intervals import holm, paired_difference

RNG = np.random.default_rng(1)
DICE = RNG.beta(12, 2, 20)
BETTER = np.minimum(DICE + RNG.normal(0.02, 0.01, 20), 1)
NOISY = DICE + RNG.normal(0, 0.03, 20)


def image(name, values, *, content="", group="", pixels=100):
    return ImageScore(
        name=name, pixels=pixels, accuracy=None, dice=(), iou=(), mean_dice=values.get("dice"),
        content=content, group=group, measures=values,
    )  # fmt: skip


def scores(images, *, main="dice", classes=("background", "cell"), lower=("hd95/cell",), **more):
    """An evaluation of images; measures in `lower` are better when lower."""
    names = dict.fromkeys(name for each in images for name in each.measures)
    measures = tuple(
        Measure(name=name, mean=None, higher_is_better=name not in lower, images=0,
                unit="px" if name in lower else "")
        for name in names
    )  # fmt: skip
    empty = dict.fromkeys(("dice", "iou", "precision", "recall", "image_dice"))
    counts = dict.fromkeys(("images_present", "images_absent", "images_missed", "images_false_alarm"), 0)
    counts["image_dice_absent_as_one"] = 1
    return Scores(
        subset="test", policy="", mean_dice=None, mean_iou=None, accuracy=None, confusion=(),
        classes=tuple(ClassScore(name=name, **empty, **counts) for name in classes),
        images=tuple(images), main=main, measures=measures, **more,
    )  # fmt: skip


def of_dice(values, **more):
    return scores([image(f"{place}.png", {"dice": value}, **more) for place, value in enumerate(values)])


def of_dice_named(values):
    return scores([image(str(place), {"dice": value}) for place, value in enumerate(values)])


class TestMainMeasure:
    """Who is better by the measure of the task."""

    def test_difference_interval_and_p_are_those_of_the_paired_test(self):
        found, expected = compare(of_dice(DICE), of_dice(BETTER)).main, paired_difference(DICE, BETTER)
        assert (found.difference, found.low, found.high) == expected.difference
        assert (found.p_value, found.detectable) == (expected.p_value, expected.detectable)
        assert (found.a, found.b) == pytest.approx((DICE.mean(), BETTER.mean()))
        assert (found.a_better, found.b_better) == (expected.a_larger, expected.b_larger)

    def test_of_a_distance_the_smaller_is_better(self):
        near = scores([image(str(i), {"hd95/cell": 1.0 + i}) for i in range(8)], main="hd95/cell")
        far = scores([image(str(i), {"hd95/cell": 2.5 + i}) for i in range(8)], main="hd95/cell")
        found = compare(near, far)
        assert (found.main.a_better, found.main.b_better, found.main.better) == (8, 0, 0)
        assert comparison_sentence(found).startswith("A is better than B by 1.50 px hd95 of cell")

    def test_images_of_one_group_count_as_one(self):
        images = [image(str(i), {"dice": d}, group=f"patient {i // 4}") for i, d in enumerate(DICE)]
        found = compare(scores(images), of_dice_named(BETTER)).main
        assert found.least_p == 2 / 2**5
        expected = paired_difference(DICE, BETTER, groups=[i // 4 for i in range(20)])
        assert (found.images, found.groups, found.p_value) == (20, 5, expected.p_value)

    def test_images_without_a_value_in_one_are_left_out(self):
        holed = [None if i < 3 else d for i, d in enumerate(DICE)]
        found = compare(of_dice(holed), of_dice(BETTER))
        assert (found.compared, found.main.images, len(found.images)) == (20, 17, 17)

    def test_an_evaluation_that_kept_no_measures_is_compared_by_its_dice(self):
        old = scores(
            [image(str(i), {"dice": d}).model_copy(update={"measures": {}}) for i, d in enumerate(DICE)]
        )
        assert compare(old, of_dice_named(BETTER)).main.difference == pytest.approx((BETTER - DICE).mean())


class TestSameImages:
    """Only what both scored is compared."""

    def test_images_are_known_again_by_their_pixels_whatever_their_names(self):
        a = scores([image("a.png", {"dice": 0.5}, content="x"), image("b.png", {"dice": 0.6}, content="y")])
        b = scores([image("b.png", {"dice": 0.9}, content="x"), image("c.png", {"dice": 0.8}, content="y")])
        found = compare(a, b)
        assert {(each.name, each.a, each.b) for each in found.images} == {
            ("a.png", 0.5, 0.9),
            ("b.png", 0.6, 0.8),
        }

    def test_equal_names_with_other_pixels_are_other_images(self):
        a, b = of_dice([0.5, 0.6], content="x"), of_dice([0.5, 0.6], content="y")
        with pytest.raises(DataError, match="no image that both A and B scored"):
            compare(a, b)

    def test_names_decide_where_one_does_not_know_its_pixels(self):
        assert compare(of_dice([0.5, 0.6], content="x"), of_dice([0.7, 0.8])).compared == 2

    def test_two_copies_of_an_image_are_told_apart_by_their_names(self):
        a = scores([image("1", {"dice": 0.1}, content="x"), image("2", {"dice": 0.2}, content="x")])
        b = scores([image("2", {"dice": 0.2}, content="x"), image("1", {"dice": 0.1}, content="x")])
        assert [each.difference for each in compare(a, b).images] == [0, 0]

    def test_others_are_counted_and_told(self):
        found = compare(of_dice(DICE), of_dice(BETTER[:15]), ("old", "new"))
        assert (found.compared, found.only_a, found.only_b) == (15, 5, 0)
        assert found.notes == ("5 of the images of old were not scored by the other and are left out.",)

    def test_other_classes_are_refused(self):
        with pytest.raises(DataError, match="classes background, cell and B with background, road"):
            compare(of_dice(DICE), scores([image("0.png", {"dice": 1.0})], classes=("background", "road")))


class TestNotes:
    """What makes a comparison less than fair is said."""

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"subset": "train"}, "trained on"),
            ({"spacing": (0.5, 0.5), "unit": "um"}, "size of a pixel"),
            ({"main": "ap", "task": "instances"}, "B as instances"),
        ],
    )
    def test_names_what_differs(self, change, said):
        found = compare(of_dice(DICE), of_dice(BETTER).model_copy(update=change))
        assert [said in note for note in found.notes] == [True]

    def test_other_masks_are_noticed_by_the_pixels_that_count(self):
        found = compare(of_dice(DICE), of_dice(BETTER, pixels=90))
        assert "On 20 of the images not as many pixels count" in found.notes[0]

    def test_distances_in_other_units_are_not_compared(self):
        images = [image(str(i), {"dice": 0.5, "hd95/cell": 3.0, "nsd/cell": 0.5}) for i in range(6)]
        found = compare(scores(images), scores(images, spacing=(0.5, 0.5), unit="um"))
        assert found.measures == ()

    def test_names_the_measure_that_is_compared(self):
        ap = [image(str(i), {"dice": d, "ap": d}) for i, d in enumerate(DICE)]
        objects = scores(ap, main="ap", task="instances")
        both, one = compare(objects, scores(ap)), compare(objects, of_dice_named(BETTER))
        assert (both.main.name, one.main.name) == ("ap", "dice")
        assert both.notes == ("A was scored as instances, B as semantic: both are compared by ap.",)
        assert one.notes == ("A was scored as instances, B as semantic: both are compared by dice.",)

    def test_says_so_if_the_main_measure_is_not_in_both(self):
        ap = [image(str(i), {"dice": d, "ap": d}) for i, d in enumerate(DICE)]
        a, b = scores(ap, main="ap"), of_dice_named(BETTER).model_copy(update={"main": "ap"})
        assert compare(a, b).notes == ("Not both hold ap of each image: they are compared by dice.",)

    def test_five_images_cannot_show_a_difference_six_can(self):
        five, six = (compare(of_dice(DICE[:n]), of_dice(NOISY[:n])) for n in (5, 6))
        assert five.notes == (
            "5 independent images are too few to tell a difference from noise: p cannot fall below 0.062. "
            "Score more of them.",
        )
        assert five.main.low is not None
        assert (five.main.detectable, six.notes) == (None, ())
        assert six.main.detectable > 0

    def test_few_images_are_called_few_and_get_no_interval(self):
        found = compare(of_dice(DICE[:3]), of_dice(BETTER[:3]))
        assert found.notes[0].startswith("3 independent images are too few for an interval")
        assert "p cannot fall below 0.25" in found.notes[0]
        assert (found.main.low, found.main.high) == (None, None)


class TestOtherMeasures:
    """They are tested at once, and corrected for it."""

    A = scores([image(str(i), {"dice": d, "iou": d / 2, "recall/cell": d}) for i, d in enumerate(DICE)])
    B = scores([image(str(i), {"dice": d, "iou": d / 2, "recall/cell": n, "extra": 1.0})
                for i, (d, n) in enumerate(zip(BETTER, NOISY, strict=True))])  # fmt: skip

    def test_are_those_that_both_have(self):
        assert [each.name for each in compare(self.A, self.B).measures] == ["iou", "recall/cell"]

    def test_have_p_values_corrected_for_their_number(self):
        found = compare(self.A, self.B)
        assert [each.p_holm for each in found.measures] == [*holm([each.p_value for each in found.measures])]
        assert found.main.p_holm is None

    def test_are_tested_once_where_two_are_equal_on_each_image_of_both(self):
        a, b = (
            scores([image(str(i), {"dice": d, "recall/no": d / 2, "specificity/cell": d / 2, "iou": d / 3})
                    for i, d in enumerate(values)])
            for values in (DICE, BETTER)
        )  # fmt: skip
        found = compare(a, b)
        assert [(each.name, each.equal) for each in found.measures] == [
            ("recall/no", ("specificity/cell",)),
            ("iou", ()),
        ]
        assert "Left out, for they are equal on each image: specificity/cell = recall/no." in (
            comparison_text(found).splitlines()
        )

    def test_equal_in_one_alone_are_two_measures(self):
        a = scores([image(str(i), {"dice": d, "x": d, "y": d}) for i, d in enumerate(DICE)])
        b = scores([image(str(i), {"dice": n, "x": d, "y": n / 2})
                    for i, (d, n) in enumerate(zip(BETTER, NOISY, strict=True))])  # fmt: skip
        assert [each.name for each in compare(a, b).measures] == ["x", "y"]

    @pytest.mark.parametrize(("images", "said"), [(6, True), (7, False)])
    def test_too_few_images_for_so_many_measures_are_told_in_one_line(self, images, said):
        """Smallest p of n images: 2 / 2^n; of two measures, corrected: 4 / 2^n."""

        def first(each):
            return each.model_copy(update={"images": each.images[:images]})

        lines = comparison_text(compare(first(self.A), first(self.B))).splitlines()
        line = (
            "6 independent images cannot show a difference in any of the 2 measures beside dice: their p, "
            "corrected for that number, cannot fall below 0.062."
        )
        head = next(each for each in lines if each.startswith("mean over images"))
        assert (line in lines, "p (Holm)" not in head) == (said, said)
        assert any(each.startswith("dice ") and each.endswith("B better") for each in lines)


class TestSentence:
    """The answer, computed from the numbers."""

    def test_says_who_is_better_by_how_much_and_how_sure_that_is(self):
        found = compare(of_dice(DICE), of_dice(BETTER), ("unet", "unet++"))
        main = found.main
        assert comparison_sentence(found) == (
            f"unet++ is better than unet by {main.difference:.4f} Dice (95% interval {main.low:.4f} to "
            f"{main.high:.4f}, p < 0.001, 20 images; {main.b_better} better, {main.a_better} worse, 0 alike)."
        )

    def test_turns_the_interval_round_when_the_first_is_better(self):
        one, two = compare(of_dice(DICE), of_dice(BETTER)), compare(of_dice(BETTER), of_dice(DICE))
        assert comparison_sentence(two)[:50] == comparison_sentence(one).translate({65: 66, 66: 65})[:50]
        assert comparison_sentence(two).startswith("A is better than B by")

    def test_says_that_noise_is_noise_and_what_would_have_been_noticed(self):
        found = compare(of_dice(DICE), of_dice(NOISY))
        said = comparison_sentence(found)
        assert said.startswith("No difference between A and B can be told from noise: ")
        assert said.endswith(
            f" A true difference of {found.main.detectable:.4f} would be noticed in 4 of 5 comparisons "
            "on as many images."
        )

    def test_does_not_promise_what_so_few_images_cannot_show(self):
        said = comparison_sentence(compare(of_dice(DICE[:5]), of_dice(BETTER[:5])))
        assert said.endswith(" None could be: p cannot fall below 0.062 for so few.")

    @pytest.mark.parametrize(
        ("a", "b", "said"),
        [
            ([0.5, 0.6], [0.5, 0.6], "A and B have the same Dice on each of 2 images."),
            ([0.5], [0.6], "Nothing can be told from 1 image of one group"),
            ([None], [0.6], "Neither has a Dice"),
        ],
    )
    def test_claims_nothing_where_nothing_can_be_told(self, a, b, said):
        assert comparison_sentence(compare(of_dice(a), of_dice(b))).startswith(said)


class TestText:
    """What the terminal shows."""

    def test_begins_with_the_answer_and_ends_with_the_images_that_differ_most(self):
        found = compare(TestOtherMeasures.A, TestOtherMeasures.B)
        lines = comparison_text(found).splitlines()
        assert lines[0] == comparison_sentence(found)
        assert lines[2].startswith("difference: B minus A; ")
        assert [line.split()[0] for line in lines[3:7]] == ["mean", "dice", "iou", "recall/cell"]
        assert "2 measures are tested at once" in comparison_text(found)
        most = np.argsort(-np.abs(BETTER - DICE))[:5]
        assert [line.split()[0] for line in lines[-5:]] == [str(place) for place in most]

    def test_only_what_is_below_the_corrected_level_is_called_better(self):
        lines = comparison_text(compare(TestOtherMeasures.A, TestOtherMeasures.B)).splitlines()
        ends = {line.split()[0]: line.endswith("B better") for line in lines[4:7]}
        assert ends == {"dice": True, "iou": True, "recall/cell": False}

    @pytest.mark.parametrize(
        ("a", "b", "names"),
        [
            ("runs/unet", "runs/unetpp", ("unet", "unetpp")),
            ("one/scores.json", "two/scores.json", ("one/scores", "two/scores")),
            ("run.1", "run.2", ("run.1", "run.2")),
            ("run", "run", ("A", "B")),
        ],
    )
    def test_runs_are_called_by_what_tells_their_paths_apart(self, a, b, names, tmp_path):
        assert distinct_names(tmp_path / a, tmp_path / b) == names


class TestFiles:
    """Run folders and JSON files alike."""

    def test_a_run_folder_is_read_by_its_scores(self, tmp_path):
        of_dice(DICE).to_json(tmp_path / "scores.json")
        assert read_scores(tmp_path) == read_scores(tmp_path / "scores.json") == of_dice(DICE)

    def test_a_folder_without_scores_says_how_to_make_them(self, tmp_path):
        with pytest.raises(RunError, match=r"no scores at .*run `uvala evaluate"):
            read_scores(tmp_path)

    def test_a_misspelt_file_suggests_the_nearest(self, tmp_path):
        of_dice(DICE).to_json(tmp_path / "scores_unet.json")
        with pytest.raises(RunError, match=r"did you mean 'scores_unet\.json'"):
            read_scores(tmp_path / "scores_unte.json")

    def test_what_is_not_there_suggests_runs_alone(self, tmp_path):
        (tmp_path / "cons.py").touch()
        (tmp_path / "cons.json").write_text("{}")
        (tmp_path / "notes").mkdir()
        with pytest.raises(RunError, match=r"check the path$"):
            read_scores(tmp_path / "cons")
        (tmp_path / "conf").mkdir()
        of_dice(DICE).to_json(tmp_path / "conf" / "scores.json")
        with pytest.raises(RunError, match=r"did you mean 'conf'\?$"):
            read_scores(tmp_path / "cons")
        with pytest.raises(RunError, match=f"did you mean {tmp_path / 'conf'}"):
            read_scores(tmp_path)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda held: "{", "which holds no scores"),
            (lambda held: "[]", "which holds no scores"),
            (lambda held: '{"lines": 1}', "which holds no scores"),
            (lambda held: json.dumps(held | {"a": 1, "b": 2}), "by a newer version: unknown entries a, b;"),
            (lambda held: json.dumps({"images": []}), "by an older version, or damaged: no entries subset, "),
            (lambda held: json.dumps(held | {"accuracy": "x"}), "damaged: odd values of accuracy;"),
        ],
    )
    def test_what_cannot_be_read_is_told_in_plain_words(self, tmp_path, change, said):
        file = tmp_path / "scores.json"
        of_dice(DICE).to_json(file)
        file.write_text(change(json.loads(file.read_text())))
        with pytest.raises(RunError, match=said) as caught:
            read_scores(tmp_path)
        assert "Error" not in str(caught.value)
        assert "pydantic" not in str(caught.value)

    def test_the_command_prints_the_answer_and_writes_all_of_it(self, tmp_path, capsys):
        of_dice(DICE).to_json(tmp_path / "old.json")
        of_dice(BETTER).to_json(tmp_path / "new.json")
        command(tmp_path / "old.json", tmp_path / "new.json", json=tmp_path / "comparison.json")
        assert capsys.readouterr().out.startswith("new is better than old by")
        written = json.loads((tmp_path / "comparison.json").read_text(), parse_constant=pytest.fail)
        assert written["main"]["difference"] == pytest.approx((BETTER - DICE).mean())
        assert len(written["images"]) == 20
