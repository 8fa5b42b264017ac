"""Zarr folders, written by zarr: plain arrays and OME-Zarr images of both versions."""

import json
import shutil

import numpy as np
import pytest
import zarr

from uvala.arrays import Box, Size
from uvala.errors import ImageError
from uvala.images import chunks, room
from uvala.images.lazy import PixelFacts, is_image, open_image
from uvala.images.read import Source, count_pages, image_size, read_image, read_mask
from uvala.machine import Memory

BOXES = (Box(0, 0, 70, 90), Box(0, 0, 1, 1), Box(13, 31, 50, 66), Box(69, 89, 70, 90))
KINDS = {
    "2, plain": {"zarr_format": 2, "compressors": None},
    "2, compressed": {"zarr_format": 2},
    "2, big-endian, columns first": {"zarr_format": 2, "order": "F", "dtype": ">u2"},
    "3, plain": {"zarr_format": 3, "compressors": None},
    "3, compressed": {"zarr_format": 3},
    "3, sharded": {"zarr_format": 3, "shards": (64, 64)},
}


def samples(rng, shape, dtype="uint16"):
    return (rng.random(shape) * 250).astype(dtype)


def plain(path, array, chunks=(32, 32), **options):
    options = {"dtype": array.dtype, "fill_value": 0} | options
    made = zarr.create_array(store=path, shape=array.shape, chunks=chunks, **options)
    made[...] = array
    return path


def ome(path, array, axes, *, version=3, scale=None, labels=(), units="micrometer", **image):
    """An OME-Zarr of two levels, 0.4 for version 2 and 0.5 for version 3."""
    group = zarr.create_group(store=path, zarr_format=version)
    for level, values in enumerate((array, array[..., ::2, ::2])):
        chunks = (1,) * (array.ndim - 2) + (32, 40)
        made = group.create_array(str(level), shape=values.shape, chunks=chunks, dtype=values.dtype)
        made[...] = values
    kinds = {"t": "time", "c": "channel"}
    named = [
        {"name": axis, "type": kinds.get(axis, "space")}
        | ({"unit": units} if axis in "zyx" and units else {})
        for axis in axes
    ]
    scales = [scale or [1.0] * len(axes), [2.0] * len(axes)]
    datasets = [
        {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": each}]}
        for level, each in enumerate(scales)
    ]
    said = {"multiscales": [{"axes": named, "datasets": datasets, **image}]}
    if labels:
        said["omero"] = {"channels": [{"label": label} for label in labels]}
    group.attrs.update({"ome": {"version": "0.5", **said}} if version == 3 else said)
    return path


def assert_boxes_are(source, expected):
    np.testing.assert_array_equal(read_image(source).array, expected)
    with open_image(source, at_once=0) as image:
        assert (image.channels, *image.size) == expected.shape
        assert (image.dtype, image.whole) == (expected.dtype.newbyteorder("="), None)
        for box in BOXES:
            np.testing.assert_array_equal(image.read(box), expected[:, *box.slices])


@pytest.mark.parametrize("kind", KINDS)
def test_an_array_of_rows_and_columns(tmp_path, rng, kind):
    array = samples(rng, (70, 90))
    assert_boxes_are(plain(tmp_path / "a.zarr", array, **KINDS[kind]), array[None])


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(("shape", "channels"), [((3, 70, 90), 0), ((70, 90, 4), 2)], ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_shortest_of_three_axes_is_the_channels(tmp_path, rng, version, shape, channels, dtype):
    array, chunks = samples(rng, shape, dtype), [32, 32]
    chunks.insert(channels, 1)
    path = plain(tmp_path / "a.zarr", array, tuple(chunks), zarr_format=version)
    assert_boxes_are(path, np.moveaxis(array, channels, 0))


def test_axes_that_have_names_are_taken_at_their_word(tmp_path, rng):
    array = samples(rng, (70, 20, 90))
    path = plain(tmp_path / "a.zarr", array, (32, 5, 32), zarr_format=3, dimension_names=("y", "c", "x"))
    assert_boxes_are(path, np.moveaxis(array, 1, 0))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("yx", (70, 90)),
        ("cyx", (20, 70, 90)),
        ("zyx", (1, 70, 90)),
        ("tczyx", (1, 3, 1, 70, 90)),
        ("tczyx", (1, 1, 1, 70, 90)),
    ],
)
def test_of_an_ome_zarr_the_finest_level_is_read(tmp_path, rng, version, axes, shape):
    array = samples(rng, shape)
    assert_boxes_are(ome(tmp_path / "a.zarr", array, axes, version=version), array.reshape(-1, 70, 90))


@pytest.mark.parametrize("version", [2, 3])
def test_facts_are_size_unit_and_channel_names(tmp_path, rng, version):
    path = ome(
        tmp_path / "a.zarr",
        samples(rng, (1, 2, 1, 70, 90)),
        "tczyx",
        version=version,
        scale=[1.0, 1.0, 3.0, 0.5, 0.25],
        labels=("DAPI", "GFP"),
        coordinateTransformations=[{"type": "scale", "scale": [1.0, 1.0, 1.0, 2.0, 2.0]}],
    )
    for at_once in (0, 2**20):
        with open_image(path, at_once=at_once) as image:
            assert image.facts == PixelFacts((1.0, 0.5), "um", ("DAPI", "GFP"))


def test_a_scale_without_a_unit_is_no_size(tmp_path, rng):
    path = ome(tmp_path / "a.zarr", samples(rng, (70, 90)), "yx", scale=[0.5, 0.5], units=None)
    with open_image(path) as image:
        assert image.facts == PixelFacts()


@pytest.mark.parametrize(("axes", "shape"), [("zyx", (5, 70, 90)), ("tcyx", (5, 2, 70, 90))])
def test_several_planes_are_refused_by_the_name_of_their_axis(tmp_path, rng, axes, shape):
    path = ome(tmp_path / "a.zarr", samples(rng, shape), axes)
    with pytest.raises(ImageError, match=rf"5 planes along its axis '{axes[0]}'.*projection"):
        read_image(path)


def test_chunks_that_are_not_stored_are_empty(tmp_path):
    zarr.create_array(store=tmp_path / "a.zarr", shape=(70, 90), chunks=(32, 32), dtype="u1", fill_value=7)
    assert_boxes_are(tmp_path / "a.zarr", np.full((1, 70, 90), 7, np.uint8))


class TestManyChannels:
    """A chunk is as many channels as the file says, and no more are decoded at a time."""

    @pytest.fixture(autouse=True)
    def _small_chunks_are_not_put_together(self, monkeypatch):
        monkeypatch.setattr(chunks, "_LEAST_BYTES", 1)
        monkeypatch.setattr(chunks, "_LEAST_SIDE", 1)

    @pytest.mark.parametrize("version", [2, 3])
    @pytest.mark.parametrize("depth", [1, 2, 5])
    @pytest.mark.parametrize("channels", [0, 2])
    def test_of_any_depth_are_the_channels_of_the_image(self, tmp_path, rng, version, depth, channels):
        shape, sides = [70, 90], [32, 40]
        shape.insert(channels, 5)
        sides.insert(channels, depth)
        array = samples(rng, shape)
        path = plain(tmp_path / "a.zarr", array, tuple(sides), zarr_format=version)
        assert_boxes_are(path, np.moveaxis(array, channels, 0))

    def test_whose_chunks_are_small_only_one_by_one_are_read_in_parts(self, tmp_path, rng, monkeypatch):
        monkeypatch.setattr(chunks, "_MOST_IN_A_PIECE", 2 * 32 * 32)
        array = samples(rng, (16, 70, 90))
        assert_boxes_are(plain(tmp_path / "a.zarr", array, (1, 32, 32)), array)


def test_one_huge_chunk_is_decoded_at_once_if_there_is_room(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(chunks, "_MOST_IN_A_PIECE", 1000)
    array = samples(rng, (2, 70, 90))
    path = plain(tmp_path / "a.zarr", array, (1, 70, 90))
    with open_image(path, at_once=0) as image:
        np.testing.assert_array_equal(image.whole, array)
    monkeypatch.setattr(room, "usable_memory", lambda: Memory(1000, 100))
    monkeypatch.setattr(room, "_SMALL", 0)
    with pytest.raises(ImageError, match=r"a\.zarr, which would have to be.*512x512"):
        read_image(path)


def test_masks_may_be_zarr_too(tmp_path, rng):
    labels = rng.integers(0, 1000, (70, 90), dtype=np.uint16)
    np.testing.assert_array_equal(read_mask(plain(tmp_path / "a.zarr", labels)).values, labels)


def test_size_and_pages_are_known_without_decoding(tmp_path, rng):
    path = ome(tmp_path / "a.zarr", samples(rng, (3, 70, 90)), "cyx")
    shutil.rmtree(path / "0" / "c")
    assert (image_size(path), count_pages(path), is_image(path)) == (Size(70, 90), 1, True)


class TestErrors:
    """Each names the folder."""

    @pytest.fixture
    def image(self, tmp_path, rng):
        return ome(tmp_path / "a.zarr", samples(rng, (1, 70, 90)), "cyx")

    def test_a_level_that_is_missing(self, image):
        shutil.rmtree(image / "0")
        with pytest.raises(
            ImageError, match=r"a\.zarr, which is damaged \(its finest level '0' is missing\)"
        ):
            read_image(image)

    @pytest.mark.parametrize("file", ["zarr.json", "0/zarr.json"])
    @pytest.mark.parametrize("content", [b"", b"{", b'{"zarr_format": 3}'], ids=repr)
    def test_broken_metadata(self, image, file, content):
        (image / file).write_bytes(content)
        with pytest.raises(ImageError, match=r"a\.zarr, "):
            read_image(image)

    @pytest.mark.parametrize("content", [b"", b"\xff" * 20], ids=["empty", "noise"])
    def test_a_broken_chunk_where_a_box_meets_it(self, image, rng, content):
        large = plain(image.parent / "b.zarr", samples(rng, (600, 1300)), (512, 512), zarr_format=3)
        with open_image(large, at_once=0) as opened:
            (large / "c" / "1" / "2").write_bytes(content)
            opened.read(Box(0, 0, 600, 1000))
            with pytest.raises(ImageError, match=r"b\.zarr, which is damaged"):
                opened.read(Box(0, 0, 600, 1300))

    def test_a_group_that_is_not_one_image(self, tmp_path, rng):
        group = zarr.create_group(store=tmp_path / "plate.zarr")
        for name in ("one", "two"):
            group.create_array(name, shape=(9, 9), dtype="u1")
        with pytest.raises(ImageError, match=r"it holds 'one', 'two'.*multiscales"):
            read_image(tmp_path / "plate.zarr")

    def test_a_page(self, image):
        with pytest.raises(ImageError, match="page 1 asked of"):
            read_image(Source(image, 1))

    @pytest.mark.parametrize("shape", [(5, 6, 7, 8), (70, 3, 90), (40, 70, 90)], ids=str)
    def test_an_array_without_axes_that_could_be_an_image(self, tmp_path, shape):
        path = plain(tmp_path / "a.zarr", np.zeros(shape, np.uint8), shape)
        with pytest.raises(ImageError, match=r"a\.zarr, which is damaged \(.* axes"):
            read_image(path)

    def test_complex_numbers(self, tmp_path):
        with pytest.raises(ImageError, match="complex64"):
            read_image(plain(tmp_path / "a.zarr", np.zeros((9, 9), np.complex64), (9, 9)))


def test_the_only_image_of_a_converter_is_found_in_its_folder(tmp_path, rng):
    array = samples(rng, (1, 70, 90))
    group = zarr.create_group(store=tmp_path / "a.zarr", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    group.create_group("OME")
    ome(tmp_path / "a.zarr" / "0", array, "cyx", version=2)
    assert_boxes_are(tmp_path / "a.zarr", array)


def test_names_of_axes_may_be_plain_words(tmp_path, rng):
    path = ome(tmp_path / "a.zarr", samples(rng, (2, 70, 90)), "cyx", version=2)
    said = json.loads((path / ".zattrs").read_text())
    said["multiscales"][0]["axes"] = ["c", "y", "x"]  # as version 0.3 had it
    (path / ".zattrs").write_text(json.dumps(said))
    assert read_image(path).array.shape == (2, 70, 90)
