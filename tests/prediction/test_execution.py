"""What computes a network, and in how much memory."""

import pytest
from numpy.testing import assert_allclose
from torch import nn

import uvala
from drawn import discs
from uvala.arrays import Size
from uvala.backends.choose import Choice
from uvala.errors import ConfigError, UnknownNameError
from uvala.prediction.ensemble import Member
from uvala.prediction.execution import parse_memory
from uvala.tiling.config import TileConfig


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GB", 2_000_000_000),
        ("500MB", 500_000_000),
        ("1.5g", 1_500_000_000),
        (" 3 gb", 3_000_000_000),
        ("1GiB", 2**30),
        ("700000000", 700_000_000),
    ],
)
def test_memory_is_read_as_people_write_it(text, expected):
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["", "lots", "-1GB", "0", "1e9", "GB", "inf"])
def test_what_is_no_memory_is_refused(text):
    with pytest.raises(ConfigError, match="such as 2GB"):
        parse_memory(text)


def test_less_memory_than_a_tile_needs_is_refused_before_the_first_image(disc_run):
    loaded = uvala.load_run(disc_run.path, device="cpu", memory=2_000_000)
    with pytest.raises(ConfigError, match="found 2 MB to predict in, which leave"):
        _ = loaded.predictor


class TestTiles:
    def tiles(self, run, memory):
        predictor = uvala.load_run(run.path, device="cpu", memory=memory).predictor
        return predictor.execution.tiles(predictor.used[0])

    def test_are_smaller_in_less_memory(self, disc_run):
        sides = [self.tiles(disc_run, memory).size for memory in (60_000_000, 200_000_000, 2_000_000_000)]
        assert sides == sorted(sides)
        assert sides[0] < sides[-1]

    def test_are_those_of_the_card_where_nobody_says_anything(self, disc_run):
        assert self.tiles(disc_run, None) == disc_run.card.tiles

    def test_of_large_images_are_whole_blocks(self, disc_run):
        for memory in (60_000_000, 200_000_000, None):
            predictor = uvala.load_run(disc_run.path, device="cpu", memory=memory).predictor
            grid = predictor.cutting().grid
            tile = predictor.execution.tiles(predictor.used[0], large=True).size
            assert tile % grid == 0 or grid % tile == 0
            assert grid & (grid - 1) == 0

    def test_of_little_memory_do_not_make_a_disk_full_of_little_files(self, disc_run):
        for memory in (60_000_000, None):
            predictor = uvala.load_run(disc_run.path, device="cpu", memory=memory).predictor
            assert predictor.cutting().grid >= 256

    def test_of_several_networks_are_of_one_size(self, disc_run):
        predictor = uvala.load_run(disc_run.path, device="cpu").predictor
        small = TileConfig(size=300)
        members = [
            predictor.used[0],
            Member(nn.Conv2d(1, 2, 3, padding=1), predictor.card.model_copy(update={"tiles": small})),
        ]
        together = predictor.execution.together(members)
        assert {member.card.tiles.size for member in together} == {256}
        assert predictor.execution.cutting(members).grid == 256

    def test_of_several_networks_are_smaller_than_those_of_one(self, disc_run):
        predictor = uvala.load_run(disc_run.path, device="cpu", memory=300_000_000).predictor
        sizes = [predictor.execution.tiles(predictor.used[0], networks=number).size for number in (1, 8)]
        assert sizes[1] < sizes[0]

    def test_that_are_blended_are_about_as_large_in_large_images(self, disc_run):
        predictor = uvala.load_run(disc_run.path, device="cpu").predictor
        blended = predictor.card.tiles.model_copy(update={"mode": "blended"})
        predictor.card = predictor.card.model_copy(update={"tiles": blended})
        assert predictor.execution.tiles(predictor.used[0], large=True).size > blended.size / 2

    def test_are_told_where_numbers_depend_on_them(self, disc_run):
        def deciding(memory, mode):
            run = uvala.load_run(disc_run.path, device="cpu", memory=memory, settings={"tiles.mode": mode})
            return run.predictor.deciding_tiles

        assert deciding(None, "exact") == deciding(60_000_000, "exact") == []
        assert [each.size for each in deciding(None, "blended")] == [disc_run.card.tiles.size]
        some, more = deciding(120_000_000, "blended"), deciding(400_000_000, "blended")
        assert all(one.size < other.size for one, other in zip(some, more, strict=True))

    def test_decide_no_number(self, disc_run):
        image = discs(size=(300, 400), seed=3)[0]
        probabilities = [
            uvala.load_run(disc_run.path, device="cpu", memory=memory).predict(image).probabilities
            for memory in (None, 60_000_000)
        ]
        assert_allclose(*probabilities, atol=1e-6)


class TestBackend:
    def test_gives_the_numbers_of_torch(self, disc_run):
        pytest.importorskip("onnxruntime", reason="an extra")
        image = discs(size=(90, 70), seed=3)[0]
        other = uvala.load_run(disc_run.path, device="cpu", backend="onnxruntime").predict(image)
        assert_allclose(other.probabilities, disc_run.predict(image).probabilities, atol=1e-4)

    def test_auto_does_not_search_long_for_little(self, disc_run):
        predictor = uvala.load_run(disc_run.path, device="cpu", backend="auto").predictor
        predictor.expect(1, Size(100, 100))
        assert predictor.execution.backend_of(predictor.used[0]) == "torch"

    @pytest.mark.parametrize(("side", "whole"), [(200, True), (3000, False)])
    def test_auto_knows_that_torch_computes_a_part_of_the_tiles_of_large_images(
        self, disc_run, monkeypatch, side, whole
    ):
        def choose(model, names, *, torch_share, **others):
            shares.append(torch_share)
            return Choice("torch", model, {}, {}, {})

        shares = []
        monkeypatch.setattr("uvala.backends.choose.choose", choose)
        predictor = uvala.load_run(disc_run.path, device="cpu", backend="auto").predictor
        predictor.expect(10, Size(side, side))
        predictor.execution.backend_of(predictor.used[0])
        assert (shares == [1.0]) is whole
        assert 0 < shares[0] <= 1

    def test_of_no_known_name_is_refused_with_the_nearest(self, disc_run):
        loaded = uvala.load_run(disc_run.path, device="cpu", backend="onnxruntim")
        with pytest.raises(UnknownNameError, match="did you mean 'onnxruntime'"):
            _ = loaded.predictor
