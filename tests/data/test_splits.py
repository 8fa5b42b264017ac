"""What is tested on was never trained on; what somebody decided wins; copies and groups stay together."""

import json

import numpy as np
import pytest

from uvala.data.dataset import read_dataset
from uvala.data.splits import Split, SplitConfig, guess_groups, make_split
from uvala.errors import SplitError


@pytest.fixture
def twelve(drawn):
    drawn.pairs(12)
    return drawn


def split_of(drawn, seed=0, **more):
    return make_split(read_dataset(drawn.root), seed=seed, **more)


def write_lists(drawn, name="split.json", **lists):
    path = drawn.root / name
    path.write_text(json.dumps(lists))
    return path


def names(*numbers):
    return tuple(f"s{number:02d}.png" for number in numbers)


class TestDrawn:
    """Where nobody has decided, a seed does."""

    def test_each_sample_is_on_one_side(self, twelve):
        split = split_of(twelve)
        assert sorted(split.train + split.val + split.test) == sorted(names(*range(12)))
        assert (len(split.val), split.test) == (2, ())
        assert "val (15%) drawn with seed 0" in split.origin

    def test_the_same_seed_draws_the_same_and_another_seed_another(self, twelve):
        dataset = read_dataset(twelve.root)
        splits = [make_split(dataset, seed=seed) for seed in (1, 1, 2, 3, 4)]
        assert splits[0] == splits[1]
        assert len({split.val for split in splits}) > 1

    def test_twenty_samples_are_enough_to_hold_out_a_test_set_as_well(self, drawn):
        """P10: the final score must not be the one that chose the weights."""
        drawn.pairs(20)
        split = split_of(drawn)
        assert (len(split.train), len(split.val), len(split.test)) == (14, 3, 3)
        assert "test (15%) and val (15%)" in split.origin

    @pytest.mark.parametrize("number", [2, 3, 4, 5])
    def test_a_few_samples_are_split_into_one_to_validate_and_the_rest(self, drawn, number):
        drawn.pairs(number)
        split = split_of(drawn)
        assert (len(split.train), len(split.val)) == (number - 1, 1)

    def test_shares_can_be_chosen(self, twelve):
        assert len(split_of(twelve, config=SplitConfig(val_share=0.5)).val) == 6

    @pytest.mark.parametrize("seed", range(5))
    def test_a_rare_class_is_on_both_sides(self, drawn, seed):
        drawn.pairs(12)
        for name in ("s03", "s07"):
            labels = drawn.discs(int(name[1:]))
            drawn.save(f"masks/{name}.png", np.where(labels == 1, 128, (labels > 0) * 255).astype(np.uint8))
        split = split_of(drawn, seed)
        assert len({*names(3, 7)} & {*split.val}) == len({*names(3, 7)} & {*split.train}) == 1

    @pytest.mark.parametrize("seed", range(5))
    def test_copies_of_one_image_stay_together(self, twelve, seed):
        """P10: near-duplicate check by looking at the images."""
        labels = twelve.discs(3)
        brighter = np.clip(twelve.image_of(labels, 3) * 1.1, 0, 255).astype(np.uint8)
        twelve.pair("copy", brighter, ((labels > 0) * 255).astype(np.uint8))
        split = split_of(twelve, seed)
        assert ("copy.png" in split.val) == ("s03.png" in split.val)


class TestGroups:
    """P10: the same patient or slide is never on both sides."""

    def six_patients(self, drawn, pattern="patient{0}_slice{1}"):
        for patient in range(6):
            for part in range(4):
                seed = 4 * patient + part
                labels = drawn.discs(seed)
                mask = ((labels > 0) * 255).astype(np.uint8)
                drawn.pair(pattern.format(patient, part), drawn.image_of(labels, seed), mask)

    @pytest.mark.parametrize("seed", range(5))
    def test_groups_that_names_give_away_are_not_divided(self, drawn, seed):
        self.six_patients(drawn)
        split = split_of(drawn, seed)
        sides = [
            {name.split("_")[0] for name in side} for side in (split.train, split.val, split.test) if side
        ]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 6
        assert "groups kept together as names suggest ('patient0' and 5 more)" in split.origin

    def test_groups_of_dataset_toml_win(self, drawn):
        self.six_patients(drawn, "{0}x{1}")
        (drawn.root / "dataset.toml").write_text("groups = '^(.)x'")
        split = split_of(drawn)
        assert len({name[0] for name in split.val} & {name[0] for name in split.train}) == 0
        assert "whole groups together (6 groups)" in split.origin

    def test_a_decided_split_that_divides_a_group_is_told_so(self, drawn):
        self.six_patients(drawn, "{0}x{1}")
        (drawn.root / "dataset.toml").write_text("groups = '^(.)x'")
        write_lists(drawn, val=["0x0"])
        assert "groups on several sides: 0" in split_of(drawn).origin

    @pytest.mark.parametrize(
        ("given", "groups"),
        [
            (["p1_01", "p1_02", "p2_01", "p2_02", "p3_01", "p3_02"], {"p1", "p2", "p3"}),
            (
                ["case01/s1", "case01/s2", "case02/s1", "case02/s2", "case03/s1", "case03/s2"],
                {"case01", "case02", "case03"},
            ),
            (["0016E5_00390", "0016E5_00420", "0001TP_1", "0001TP_2", "Seq05_f1", "Seq05_f2"], 3),
            (["p1_01", "p1_02", "p2_01", "p2_02"], set()),  # two groups are no evidence
            (["cat_1", "cat_2", "dog_1", "dog_2", "cow_1", "cow_2"], set()),  # kinds, not individuals
            (["img_001", "img_002", "img_003"], set()),
            (["00", "01", "02", "03"], set()),
            (["0287e7ee5b00", "03b9306f44e9", "0402a81e7526"], set()),
            (["a1_1", "b2_1", "c3_1", "d4_1", "d4_2"], set()),  # nearly each its own
            (["p1_01", "p1_02", "p2_01", "p2_02", "p3_01", "p3_02", "extra"], set()),
        ],
        ids=lambda value: value[0] if isinstance(value, list) else "",
    )
    def test_names_give_groups_away_only_on_strong_evidence(self, given, groups):
        found = set(guess_groups([f"{name}.png" for name in given]).values())
        assert found == groups if isinstance(groups, set) else len(found) == groups

    def test_one_group_alone_is_divided_into_runs_of_neighbours(self, twelve):
        (twelve.root / "dataset.toml").write_text("groups = '^s'")
        split = split_of(twelve)
        numbers = sorted(int(name[1:3]) for name in split.val)
        assert numbers == list(range(numbers[0], numbers[0] + 2))


class TestSeries:
    """P10: of slices and frames, whose neighbours are alike, a run is held out and not single ones."""

    def test_validation_is_one_run_of_slices(self, drawn):
        rng = np.random.default_rng(0)
        field = rng.normal(0, 1, (64, 64))
        for number in range(14):
            field = 0.8 * field + 0.6 * rng.normal(0, 1, (64, 64))
            image = np.clip(128 + 40 * field, 0, 255).astype(np.uint8)
            drawn.pair(f"{number}", image, ((field > 1) * 255).astype(np.uint8))
        split = split_of(drawn, config=SplitConfig(val_share=0.3))
        numbers = [int(name.removesuffix(".png")) for name in split.val]
        assert numbers == list(range(numbers[0], numbers[0] + 4))
        assert "a run of neighbours" in split.origin

    def test_a_still_film_is_split_although_all_frames_are_copies(self, drawn):
        for seed in range(10):
            labels = drawn.discs(1)
            flickering = (drawn.image_of(labels, 0) * (1 - 0.01 * seed)).astype(np.uint8)
            drawn.pair(f"{seed}", flickering, ((labels > 0) * 255).astype(np.uint8))
        split = split_of(drawn)
        numbers = [int(name.removesuffix(".png")) for name in split.val]
        assert numbers == [numbers[0], numbers[0] + 1]


class TestDecided:
    """A file of names, split.json in the data, folders: what somebody decided wins."""

    def test_lists_of_a_file_are_taken_with_or_without_endings(self, twelve):
        path = write_lists(twelve, "mine.json", train=["s00.png", "s01"], val=["s02"], test=["s03.png"])
        split = split_of(twelve, file=path)
        assert (split.train, split.val, split.test) == (names(0, 1), names(2), names(3))
        assert split.origin == "lists of names in mine.json; 8 images in no list, unused"

    def test_paths_within_the_data_set_are_names_too(self, twelve):
        file = write_lists(twelve, "mine.json", train=["images/s00.png", "images/s01"], val=["s02"])
        split = split_of(twelve, file=file)
        assert (split.train, split.val) == (names(0, 1), names(2))

    def test_split_json_beside_the_data_is_found(self, twelve):
        write_lists(twelve, train=["s00", "s01"], val=["s02"])
        assert split_of(twelve).val == names(2)

    def test_without_val_it_is_drawn_from_train_and_never_from_test(self, twelve):
        """P10: what is in test is never trained or validated on."""
        write_lists(twelve, train=[f"s{n:02d}" for n in range(8)], test=[f"s{n:02d}" for n in range(8, 12)])
        for seed in range(5):
            split = split_of(twelve, seed)
            assert split.test == names(8, 9, 10, 11)
            assert set(split.train + split.val) == set(names(*range(8)))
            assert len(split.val) == 1

    def test_without_train_the_rest_is_trained_on(self, twelve):
        write_lists(twelve, val=["s00"], test=["s01"])
        assert split_of(twelve).train == names(*range(2, 12))

    def test_folders_named_after_the_sides_are_the_split(self, drawn):
        for side, seeds in {"train": range(6), "val": range(6, 8), "test": range(8, 10)}.items():
            for seed in seeds:
                labels = drawn.discs(seed)
                drawn.save(f"{side}/images/s{seed}.png", drawn.image_of(labels, seed))
                drawn.save(f"{side}/masks/s{seed}.png", ((labels > 0) * 255).astype(np.uint8))
        split = split_of(drawn)
        assert (len(split.train), len(split.val), len(split.test)) == (6, 2, 2)

    @pytest.mark.parametrize(
        ("lists", "message"),
        [
            (
                {"train": ["s00", "t01"]},
                r"1 name in .*mine\.json without an image and mask: t01.*did you mean 's01",
            ),
            ({"train": ["s00"], "val": ["s00.png"]}, "'s00.png' in the lists 'train' and 'val'"),
            ({"train": ["s00"], "valid": ["s01"]}, "key 'valid' in .*did you mean 'val'"),
            ({"train": "s00"}, "'train' in .*no list of names"),
            ({}, "holds no lists"),
            ({"val": [f"s{n:02d}" for n in range(12)]}, "0 images to train on"),
            ({"train": ["s00"]}, "0 to validate with"),
        ],
        ids=["unknown", "twice", "key", "no list", "empty", "all in val", "one alone"],
    )
    def test_lists_that_do_not_fit_are_refused(self, twelve, lists, message):
        with pytest.raises(SplitError, match=message):
            split_of(twelve, file=write_lists(twelve, "mine.json", **lists))

    def test_a_file_that_is_missing_or_no_json_is_refused(self, twelve):
        with pytest.raises(SplitError, match=r"gone\.json, which cannot be read"):
            split_of(twelve, file=twelve.root / "gone.json")
        (twelve.root / "bad.json").write_text("[1,")
        with pytest.raises(SplitError, match=r"bad\.json.*expected a JSON file"):
            split_of(twelve, file=twelve.root / "bad.json")

    def test_a_short_name_that_means_two_samples_is_refused(self, drawn):
        for folder in ("a", "b"):
            for seed in (1, 2):
                labels = drawn.discs(seed + 10 * (folder == "b"))
                drawn.save(f"images/{folder}/{seed}.png", drawn.image_of(labels, seed))
                drawn.save(f"masks/{folder}/{seed}.png", ((labels > 0) * 255).astype(np.uint8))
        with pytest.raises(SplitError, match=r"'1' in .*could be a/1\.png, b/1\.png"):
            split_of(drawn, file=write_lists(drawn, "mine.json", train=["1"]))
        assert split_of(drawn, file=write_lists(drawn, "mine.json", val=["a/1"])).val == ("a/1.png",)


def test_a_split_survives_json():
    split = Split(train=("a",), val=("b",), seed=3, origin="drawn")
    assert Split.model_validate_json(split.model_dump_json()) == split
