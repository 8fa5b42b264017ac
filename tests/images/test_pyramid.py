"""What large results say to the programs that open them: tifffile, zarr, Pillow's colours, our own reader."""

import json
from functools import partial
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import zarr
from numpy.testing import assert_array_equal

from uvala.arrays import Size
from uvala.errors import ShapeError, StorageError
from uvala.images.boxes import PixelFacts
from uvala.images.pyramid import write_ome_tiff, write_ome_zarr
from uvala.images.stage import Layer

SIZE = Size(2101, 1157)
SIZES = [(2101, 1157), (1051, 579), (526, 290)]
NOTHING = PixelFacts()
MICROSCOPE = PixelFacts(spacing=(0.5, 0.25), unit="um")
GEO = (
    (33550, 12, 3, (0.5, 0.5, 0.0)),
    (33922, 12, 6, (0.0, 0.0, 0.0, 500000.0, 4200000.0, 0.0)),
    (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32633)),
    (42113, 2, 4, "255"),
)
GROUND = PixelFacts(spacing=(0.5, 0.5), unit="m", geo=GEO)
PALETTE = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 128]], np.uint8)
OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


def reader(array):
    return lambda box: array[:, *box.slices]


def write(kind, path, array, *, facts=NOTHING, nearest=True, **options):
    kind(
        path,
        reader(array),
        Size(*array.shape[1:]),
        Layer(len(array), array.dtype),
        facts=facts,
        nearest=nearest,
        **options,
    )
    return path


as_tiff, as_zarr = partial(write, write_ome_tiff), partial(write, write_ome_zarr)


def blobs(rng, kind=np.uint8, channels=1, values=3):
    """Squares on an empty ground, [channels, *SIZE]."""
    coarse = rng.integers(0, values, (channels, 100, 60)) * (rng.random((channels, 100, 60)) < 0.3)
    return np.kron(coarse, np.ones((1, 22, 20), int))[:, : SIZE.height, : SIZE.width].astype(kind)


def probabilities(rng, kind):
    most = 255 if kind == np.uint8 else 1
    return (rng.random((2, *SIZE), np.float32) * most).astype(kind)


def levels(path):
    """Of a TIFF as tifffile finds them, [channels, height, width] each."""
    with tifffile.TiffFile(path) as tiff:
        (series,) = tiff.series
        return [level.asarray().reshape(-1, *level.shape[-2:]) for level in series.levels]


def zarr_levels(path):
    group = zarr.open_group(path, mode="r")
    names = [each["path"] for each in group.attrs["multiscales"][0]["datasets"]]
    return [group[name][:] for name in names]


class TestPixels:
    """The finest level is the image; the others shrink it."""

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32])
    def test_masks_come_back_and_no_level_invents_a_number(self, tmp_path, rng, kind):
        mask = blobs(rng, kind) * 7
        found = levels(as_tiff(tmp_path / "m.ome.tif", mask))
        assert_array_equal(found[0], mask)
        assert [level.shape[1:] for level in found] == SIZES
        for fine, coarse in pairwise(found):
            assert_array_equal(coarse, fine[:, ::2, ::2])

    @pytest.mark.parametrize("kind", [np.uint8, np.float16, np.float32])
    def test_probabilities_come_back_and_their_levels_are_means(self, tmp_path, rng, kind):
        array = probabilities(rng, kind)
        found = levels(as_tiff(tmp_path / "p.ome.tif", array, nearest=False))
        assert_array_equal(found[0], array)
        inside = found[0][:, :2100, :1156].astype(float).reshape(2, 1050, 2, 578, 2).mean((2, 4))
        np.testing.assert_allclose(found[1][:, :1050, :578], inside, atol=0.5 if kind == np.uint8 else 1e-3)
        assert_array_equal(found[1][:, -1, -1], found[0][:, -1, -1])

    @pytest.mark.parametrize("kind", [np.uint8, np.float16, np.int32])
    def test_both_formats_hold_the_same_levels(self, tmp_path, rng, kind):
        array = blobs(rng, kind, channels=3)
        tiff = levels(as_tiff(tmp_path / "a.tif", array, nearest=kind == np.int32))
        for one, other in zip(
            tiff, zarr_levels(as_zarr(tmp_path / "a.zarr", array, nearest=kind == np.int32)), strict=True
        ):
            np.testing.assert_allclose(one.astype(float), other.astype(float), atol=1e-3)

    def test_an_image_of_many_channels_is_read_in_smaller_boxes(self, tmp_path, rng):
        array = blobs(rng, np.float32, channels=9)
        sides = []

        def read(box):
            sides.append(max(box.height, box.width))
            return array[:, *box.slices]

        layer = Layer(9, array.dtype)
        write_ome_tiff(tmp_path / "a.tif", read, SIZE, layer, facts=PixelFacts(), nearest=False)
        assert max(sides) == 512
        assert_array_equal(levels(tmp_path / "a.tif")[0], array)

    def test_each_pixel_is_asked_for_once(self, tmp_path, rng):
        array, asked = blobs(rng), np.zeros(SIZE, int)

        def read(box):
            asked[box.slices] += 1
            return array[:, *box.slices]

        write_ome_tiff(
            tmp_path / "a.tif", read, SIZE, Layer(1, array.dtype), facts=PixelFacts(), nearest=True
        )
        assert (asked == 1).all()

    @pytest.mark.parametrize("shape", [(1, 1), (3, 1025), (513, 512)], ids=str)
    def test_images_of_any_shape_come_back(self, tmp_path, rng, shape):
        array = rng.integers(0, 5, (2, *shape), np.uint8)
        assert_array_equal(levels(as_tiff(tmp_path / "a.tif", array))[0], array)
        assert_array_equal(zarr_levels(as_zarr(tmp_path / "a.zarr", array))[0], array)

    def test_the_same_image_makes_the_same_file(self, tmp_path, rng):
        array = blobs(rng)
        one, other = (as_tiff(tmp_path / name / "m.tif", array, facts=GROUND) for name in "ab")
        assert one.read_bytes() == other.read_bytes()

    def test_empty_areas_take_no_room(self, tmp_path):
        empty = np.zeros((1, 4096, 4096), np.uint8)
        assert as_tiff(tmp_path / "a.tif", empty).stat().st_size < 60_000
        as_zarr(tmp_path / "a.zarr", empty)
        assert not [
            each for each in (tmp_path / "a.zarr").rglob("*") if each.name.isdigit() and each.is_file()
        ]


class TestTiff:
    """As QuPath, Fiji and GDAL read it."""

    def test_it_has_tiles_and_levels_in_subifds(self, tmp_path, rng):
        with tifffile.TiffFile(as_tiff(tmp_path / "m.tif", blobs(rng, channels=2))) as tiff:
            assert tiff.is_ome
            assert not tiff.is_bigtiff
            assert [page.tile for page in tiff.pages] == [(512, 512)] * 2
            assert [len(page.subifds) for page in tiff.pages] == [2, 2]

    def test_pixel_size_and_names_of_channels_are_in_the_xml(self, tmp_path, rng):
        path = as_tiff(
            tmp_path / "m.tif", blobs(rng, channels=2), facts=MICROSCOPE, names=["<ground>", "Zellkörper"]
        )
        with tifffile.TiffFile(path) as tiff:
            pixels = ElementTree.fromstring(tiff.ome_metadata).find(f"{OME}Image/{OME}Pixels")
            assert tiff.pages[0].tags["XResolution"].value == (40_000, 1)
            assert tiff.pages[0].resolutionunit == tifffile.RESUNIT.CENTIMETER
        assert (pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeXUnit")) == ("0.25", "µm")
        assert (pixels.get("PhysicalSizeY"), pixels.get("SizeC")) == ("0.5", "2")
        assert [each.get("Name") for each in pixels.findall(f"{OME}Channel")] == ["<ground>", "Zellkörper"]

    def test_the_georeference_survives_but_not_what_was_no_data_in_the_image(self, tmp_path, rng):
        with tifffile.TiffFile(as_tiff(tmp_path / "m.tif", blobs(rng), facts=GROUND)) as tiff:
            tags = tiff.pages[0].tags
            for code, _, _, value in GEO[:3]:
                assert tags[code].value == value
            assert 42113 not in tags
            assert tiff.pages[0].geotiff_tags["ProjectedCSTypeGeoKey"] == 32633

    def test_a_mask_may_have_a_palette(self, tmp_path, rng):
        with tifffile.TiffFile(as_tiff(tmp_path / "m.tif", blobs(rng), colours=PALETTE)) as tiff:
            page = tiff.pages[0]
            assert page.photometric == tifffile.PHOTOMETRIC.PALETTE
            assert_array_equal(page.colormap[:, :3] // 257, PALETTE.T)

    def test_three_channels_may_be_the_colours_of_a_pixel(self, tmp_path, rng):
        array = blobs(rng, channels=3) * 80
        with tifffile.TiffFile(as_tiff(tmp_path / "m.tif", array, rgb=True)) as tiff:
            (series,) = tiff.series
            assert tiff.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
            assert_array_equal(np.moveaxis(series.asarray(), -1, 0), array)
            assert len(series.levels) == 3

    def test_beyond_4_gib_it_is_a_bigtiff(self, tmp_path, rng, monkeypatch):
        monkeypatch.setattr("uvala.images.tiles._MOST", 1000)
        with tifffile.TiffFile(as_tiff(tmp_path / "m.tif", blobs(rng))) as tiff:
            assert tiff.is_bigtiff


class TestZarr:
    """OME-NGFF 0.4 on Zarr 2."""

    def test_axes_and_pixel_sizes_of_each_level_are_told(self, tmp_path, rng):
        path = as_zarr(
            tmp_path / "m.zarr", blobs(rng, np.float32, channels=2), facts=MICROSCOPE, nearest=False
        )
        (scales,) = json.loads((path / ".zattrs").read_text())["multiscales"]
        assert scales["version"] == "0.4"
        assert [axis["name"] for axis in scales["axes"]] == ["c", "y", "x"]
        assert [axis.get("unit") for axis in scales["axes"]] == [None, "micrometer", "micrometer"]
        assert scales["datasets"][2]["coordinateTransformations"] == [
            {"type": "scale", "scale": [1, 2, 1]},
            {"type": "translation", "translation": [0, 0.75, 0.375]},
        ]

    def test_its_chunks_lie_where_ngff_wants_them(self, tmp_path, rng):
        path = as_zarr(tmp_path / "m.zarr", blobs(rng, channels=2))
        assert json.loads((path / "0" / ".zarray").read_text())["dimension_separator"] == "/"
        assert (path / "0" / "1" / "2" / "1").is_file()

    def test_a_mask_is_a_label_image_with_its_colours(self, tmp_path, rng):
        attributes = zarr.open_group(
            as_zarr(tmp_path / "m.zarr", blobs(rng), colours=PALETTE), mode="r"
        ).attrs
        assert attributes["image-label"]["colors"][:2] == [
            {"label-value": 0, "rgba": [0, 0, 0, 0]},
            {"label-value": 1, "rgba": [255, 0, 0, 255]},
        ]

    def test_channels_have_their_names_and_the_georeference_is_kept(self, tmp_path, rng):
        path = as_zarr(tmp_path / "m.zarr", blobs(rng, channels=2), names=["sky", "sea"], facts=GROUND)
        attributes = zarr.open_group(path, mode="r").attrs
        assert [each["label"] for each in attributes["omero"]["channels"]] == ["sky", "sea"]
        assert attributes["geotiff_tags"] == [[*tag[:3], list(tag[3])] for tag in GEO[:3]]


class TestEnds:
    """A file is whole or not there."""

    @pytest.mark.parametrize("kind", [as_tiff, as_zarr], ids=["tiff", "zarr"])
    def test_what_a_killed_process_left_goes_and_what_was_there_is_replaced(self, tmp_path, rng, kind):
        path = kind(tmp_path / "m", np.ones((1, 9, 9), np.uint8))
        left = tmp_path / ".m.part"
        left.mkdir()
        (left / "0").touch()
        kind(path, blobs(rng))
        assert [each.name for each in tmp_path.iterdir()] == ["m"]
        assert_array_equal(
            (levels if kind is as_tiff else zarr_levels)(path)[0].squeeze(),
            blobs(np.random.default_rng(7))[0],
        )

    @pytest.mark.parametrize("write", [write_ome_tiff, write_ome_zarr])
    def test_an_error_while_reading_leaves_what_was_there(self, tmp_path, write):
        def read(box):
            if box.top:
                raise StorageError(found="a", expected="b", fix="c")
            return np.ones((1, box.height, box.width), np.uint8)

        (tmp_path / "m").write_text("before")
        with pytest.raises(StorageError, match="found a"):
            write(tmp_path / "m", read, SIZE, Layer(1, np.dtype(np.uint8)), facts=PixelFacts(), nearest=True)
        assert [each.read_text() for each in tmp_path.iterdir()] == ["before"]

    @pytest.mark.parametrize(
        ("kind", "channels", "options"),
        [
            (np.int64, 1, {}),
            (bool, 1, {}),
            (np.uint8, 2, {"names": ["one"]}),
            (np.uint16, 1, {"colours": PALETTE}),
            (np.uint8, 1, {"colours": PALETTE, "nearest": False}),
            (np.uint8, 2, {"rgb": True}),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("write", [as_tiff, as_zarr], ids=["tiff", "zarr"])
    def test_what_has_no_place_in_the_file_is_refused(self, tmp_path, write, kind, channels, options):
        with pytest.raises(ShapeError):
            write(tmp_path / "m", np.zeros((channels, 5, 5), kind), **options)
        assert not list(tmp_path.iterdir())

    def test_wrong_pixels_are_refused(self, tmp_path):
        with pytest.raises(ShapeError, match="exactly the pixels"):
            write_ome_tiff(
                tmp_path / "m",
                lambda box: np.ones((1, 3, 3)),
                Size(9, 9),
                Layer(1, np.dtype(np.uint8)),
                facts=PixelFacts(),
                nearest=True,
            )
