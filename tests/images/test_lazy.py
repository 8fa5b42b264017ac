"""Images that are read box by box: the very pixels of `read_image`, whatever the file and the box."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL.Image
import pytest
import tifffile

from uvala.arrays import Box, Size
from uvala.errors import ImageError
from uvala.images import chunks, room, tiff_boxes
from uvala.images.lazy import PixelFacts, find_images, in_memory, is_image, open_image
from uvala.images.pyramid import write_ome_tiff
from uvala.images.read import Source, read_image
from uvala.images.stage import Layer
from uvala.machine import Memory

HEIGHT, WIDTH = 70, 90
BOXES = (
    Box(0, 0, HEIGHT, WIDTH),
    Box(0, 0, 1, 1),
    Box(HEIGHT - 1, WIDTH - 1, HEIGHT, WIDTH),
    Box(13, 31, 50, 66),
)


def written(tmp_path, array, **options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, **options)
    return path


def assert_boxes_equal_the_whole(source, *, in_parts: bool = True):
    expected = read_image(source)
    with open_image(source, at_once=0) as image:
        assert (image.channels, *image.size) == expected.array.shape
        assert image.dtype == expected.array.dtype
        assert image.notes == expected.notes
        assert (image.whole is None) is in_parts
        for box in BOXES:
            if box.bottom > image.size.height or box.right > image.size.width:
                continue
            np.testing.assert_array_equal(image.read(box), expected.array[:, *box.slices])


def samples(rng, shape, dtype):
    return (rng.random(shape) * 250).astype(dtype)


class TestTiff:
    """Strips and tiles, samples side by side or in planes, of any type."""

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
    @pytest.mark.parametrize(
        "stored",
        [
            {},
            {"rowsperstrip": 7, "compression": "deflate"},
            {"rowsperstrip": 7, "compression": "lzw", "predictor": True},
            {"tile": (16, 32)},
            {"tile": (32, 16), "compression": "zstd"},
            {"tile": (16, 16), "compression": "deflate", "byteorder": ">"},
            {"rowsperstrip": 9, "compression": "deflate", "bigtiff": True},
            {"byteorder": ">", "bigtiff": True},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("planar", ["contig", "separate", None])
    def test_of_several_channels(self, tmp_path, rng, dtype, stored, planar):
        shape = {"contig": (HEIGHT, WIDTH, 3), "separate": (3, HEIGHT, WIDTH), None: (HEIGHT, WIDTH)}[planar]
        options = {"photometric": "rgb", "planarconfig": planar} if planar else {}
        array = samples(rng, shape, dtype)
        assert_boxes_equal_the_whole(written(tmp_path, array, **options, **stored))

    @pytest.mark.parametrize("tile", [None, (32, 48)])
    def test_in_jpeg(self, tmp_path, tile):
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        smooth = np.stack([rows * 3, columns * 2, rows + columns], axis=-1).astype(np.uint8)
        options = {"tile": tile} if tile else {"rowsperstrip": 16}
        assert_boxes_equal_the_whole(
            written(tmp_path, smooth, photometric="rgb", compression="jpeg", **options)
        )

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("options", [{}, {"tile": (32, 16), "compression": "deflate"}], ids=str)
    def test_that_lies_on_its_side(self, tmp_path, rng, orientation, options):
        array = samples(rng, (HEIGHT, WIDTH), np.uint8)
        path = written(tmp_path, array, extratags=[(274, 3, 1, orientation, True)], **options)
        assert_boxes_equal_the_whole(path)

    @pytest.mark.parametrize(
        "options",
        [
            {"photometric": "miniswhite"},
            {"photometric": "miniswhite", "tile": (16, 16), "compression": "deflate"},
            {"photometric": "palette", "colormap": np.arange(768, dtype=np.uint16).reshape(3, 256) * 80},
        ],
        ids=["inverted", "inverted tiles", "palette"],
    )
    def test_whose_numbers_mean_something_else(self, tmp_path, rng, options):
        assert_boxes_equal_the_whole(written(tmp_path, samples(rng, (HEIGHT, WIDTH), np.uint8), **options))

    @pytest.mark.parametrize("options", [{}, {"compression": "deflate", "rowsperstrip": 8}], ids=str)
    def test_of_one_bit(self, tmp_path, rng, options):
        assert_boxes_equal_the_whole(written(tmp_path, rng.random((HEIGHT, WIDTH)) > 0.5, **options))

    @pytest.mark.parametrize("photometric", ["rgb", "separated"])
    def test_with_alpha_or_inks(self, tmp_path, rng, photometric):
        array = samples(rng, (HEIGHT, WIDTH, 4), np.uint8)
        assert_boxes_equal_the_whole(
            written(tmp_path, array, photometric=photometric, tile=(32, 32), compression="deflate")
        )

    @pytest.mark.parametrize("options", [{}, {"compression": "deflate", "tile": (16, 16)}], ids=str)
    def test_of_several_pages_as_channels_or_one_by_one(self, tmp_path, rng, options):
        path = written(tmp_path, samples(rng, (5, HEIGHT, WIDTH), np.uint16), metadata=None, **options)
        assert_boxes_equal_the_whole(path)
        assert_boxes_equal_the_whole(Source(path, 3))

    def test_of_times_and_channels(self, tmp_path, rng):
        path = tmp_path / "a.ome.tif"
        array = samples(rng, (3, 4, HEIGHT, WIDTH), np.uint16)
        tifffile.imwrite(path, array, metadata={"axes": "CTYX"}, compression="deflate", tile=(32, 32))
        assert_boxes_equal_the_whole(Source(path, 2))

    def test_of_a_pyramid_the_finest_level(self, tmp_path, rng):
        path, array = tmp_path / "a.ome.tif", samples(rng, (2, HEIGHT, WIDTH), np.uint16)
        with tifffile.TiffWriter(path) as file:
            options = {"tile": (16, 16), "compression": "deflate"}
            file.write(array, subifds=1, metadata={"axes": "CYX"}, **options)
            file.write(array[:, ::2, ::2], subfiletype=1, **options)
        assert_boxes_equal_the_whole(path)
        np.testing.assert_array_equal(read_image(path).array, array)

    def test_with_tiles_left_out(self, tmp_path, rng):
        array = np.zeros((HEIGHT, WIDTH), np.uint8)
        array[:32, :32] = samples(rng, (32, 32), np.uint8)
        path = written(tmp_path, array, tile=(32, 32), compression="deflate")
        with tifffile.TiffFile(path, mode="r+") as file:
            counts = list(file.pages[0].tags["TileByteCounts"].value)
            counts[1:] = [0] * (len(counts) - 1)
            file.pages[0].tags["TileByteCounts"].overwrite(counts)
        assert_boxes_equal_the_whole(path)

    @pytest.mark.parametrize("byteorder", ["<", ">"])
    @pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 3), (3, HEIGHT, WIDTH)], ids=str)
    def test_whose_pages_lie_apart_is_mapped_page_by_page(self, tmp_path, rng, monkeypatch, byteorder, shape):
        path, pages = tmp_path / "a.tif", [samples(rng, shape, np.uint16) for _ in range(3)]
        colours = {"photometric": "rgb", "planarconfig": "contig" if shape[-1] == 3 else "separate"}
        with tifffile.TiffWriter(path, byteorder=byteorder) as file:
            for page in pages:
                file.write(page, metadata=None, contiguous=False, **(colours if len(shape) == 3 else {}))
        monkeypatch.setattr(tiff_boxes, "_Segments", None)
        assert_boxes_equal_the_whole(path)
        assert_boxes_equal_the_whole(Source(path, 1))

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    def test_whose_strips_are_small_only_one_by_one_is_read_in_parts(
        self, tmp_path, rng, monkeypatch, planar
    ):
        samples_in_a_strip = 3 if planar == "contig" else 1
        monkeypatch.setattr(chunks, "_MOST_IN_A_PIECE", samples_in_a_strip * HEIGHT * WIDTH)
        shape = (4, HEIGHT, WIDTH, 3) if planar == "contig" else (4, 3, HEIGHT, WIDTH)
        options = {"photometric": "rgb", "planarconfig": planar, "compression": "deflate", "metadata": None}
        array = samples(rng, shape, np.uint8)
        assert_boxes_equal_the_whole(written(tmp_path, array, rowsperstrip=HEIGHT, **options))
        monkeypatch.setattr(chunks, "_MOST_IN_A_PIECE", samples_in_a_strip * HEIGHT * WIDTH - 1)
        assert_boxes_equal_the_whole(tmp_path / "a.tif", in_parts=False)

    def test_of_planes_in_a_pyramid_the_finest_level(self, tmp_path, rng):
        path, array = tmp_path / "a.tif", samples(rng, (3, HEIGHT, WIDTH), np.uint8)
        options = {"photometric": "rgb", "planarconfig": "separate", "tile": (16, 16), "compression": "lzw"}
        with tifffile.TiffWriter(path, byteorder=">") as file:
            file.write(array, subifds=1, **options)
            file.write(array[:, ::2, ::2], subfiletype=1, **options)
        assert_boxes_equal_the_whole(path)
        np.testing.assert_array_equal(read_image(path).array, array)

    @pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)], ids=str)
    @pytest.mark.parametrize("stored", [{"tile": (32, 48)}, {"rowsperstrip": 16}], ids=str)
    def test_in_jpeg_with_fewer_colours_than_pixels(self, tmp_path, subsampling, stored):
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        smooth = np.stack([rows * 3, columns * 2, rows + columns], axis=-1).astype(np.uint8)
        path = written(
            tmp_path, smooth, photometric="rgb", compression="jpeg", subsampling=subsampling, **stored
        )
        assert_boxes_equal_the_whole(path)
        assert np.abs(read_image(path).array.transpose(1, 2, 0).astype(int) - smooth).mean() < 5

    @pytest.mark.parametrize("compression", ["group3", "group4", "tiff_lzw", "packbits"])
    def test_of_one_bit_as_scanners_write_it(self, tmp_path, rng, compression):
        bits = rng.random((HEIGHT, WIDTH)) > 0.5
        PIL.Image.fromarray(bits).save(tmp_path / "a.tif", compression=compression)
        assert_boxes_equal_the_whole(tmp_path / "a.tif")
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array[0] > 0, bits)

    @pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
    def test_with_alpha_of_either_kind(self, tmp_path, rng, kind):
        array = samples(rng, (HEIGHT, WIDTH, 4), np.uint8)
        path = written(tmp_path, array, photometric="rgb", extrasamples=[kind], tile=(32, 32))
        assert_boxes_equal_the_whole(path)
        assert read_image(path).notes == ("alpha channel dropped",)

    @pytest.mark.parametrize("axes", ["ZYX", "TYX"])
    def test_of_a_few_planes_says_how_they_are_read(self, tmp_path, rng, axes):
        path = tmp_path / "a.ome.tif"
        array = samples(rng, (5, HEIGHT, WIDTH), np.uint16)
        tifffile.imwrite(path, array, metadata={"axes": axes}, compression="deflate", tile=(32, 32))
        assert_boxes_equal_the_whole(path)
        assert read_image(path).notes == ("5 pages read as 5 channels",)

    def test_whose_rows_run_over_its_pages_is_decoded_at_once(self, tmp_path, rng):
        array = samples(rng, (HEIGHT, WIDTH, 5), np.uint16)  # nothing says which axis is what
        assert_boxes_equal_the_whole(written(tmp_path, array, compression="deflate"), in_parts=False)


def test_an_image_that_waits_to_be_read_holds_no_pixels(tmp_path):
    array = np.zeros((2048, 2048), np.uint8)
    path = written(tmp_path, array, tile=(2048, 2048), compression="deflate")
    with open_image(path, at_once=0) as image:  # what is loaded at first use is not counted
        image.read(Box(0, 0, 1, 1))
    tracemalloc.start()
    try:
        with open_image(path, at_once=0):
            assert tracemalloc.get_traced_memory()[0] < array.nbytes / 4
    finally:
        tracemalloc.stop()


class TestNpy:
    """Arrays that are mapped."""

    @pytest.mark.parametrize("order", ["C", "F"])
    @pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (3, HEIGHT, WIDTH), (HEIGHT, WIDTH, 4)], ids=str)
    @pytest.mark.parametrize("dtype", ["uint8", ">u2", "float32", "bool"])
    def test_in_either_order(self, tmp_path, rng, order, shape, dtype):
        path = tmp_path / "a.npy"
        array = rng.random(shape) > 0.5 if dtype == "bool" else samples(rng, shape, dtype)
        np.save(path, np.asarray(array, order=order))
        assert_boxes_equal_the_whole(path)

    def test_a_box_is_a_copy_that_does_not_hold_the_file(self, tmp_path, rng):
        path = tmp_path / "a.npy"
        np.save(path, samples(rng, (HEIGHT, WIDTH), np.uint8))
        with open_image(path, at_once=0) as image:
            box = image.read(Box(0, 0, 5, WIDTH))
        while box is not None:
            assert not isinstance(box, np.memmap)
            box = box.base


class TestOtherFiles:
    """Formats that know no parts, and images that are small."""

    def test_are_decoded_at_once(self, save, rgb):
        with open_image(save("a.png", rgb), at_once=0) as image:
            np.testing.assert_array_equal(image.whole, rgb.transpose(2, 0, 1))
            np.testing.assert_array_equal(image.read(Box(2, 3, 9, 8)), rgb.transpose(2, 0, 1)[:, 2:9, 3:8])

    def test_what_is_small_is_decoded_at_once(self, tmp_path, rng):
        path = written(tmp_path, samples(rng, (HEIGHT, WIDTH), np.uint8), tile=(16, 16))
        with open_image(path, at_once=HEIGHT * WIDTH) as image:
            assert image.whole is not None
        with open_image(path, at_once=HEIGHT * WIDTH - 1) as image:
            assert image.whole is None

    @pytest.mark.parametrize("mode", ["L", "RGB", "P"])
    def test_what_would_not_fit_into_memory_is_refused(self, save, grey, monkeypatch, mode):
        monkeypatch.setattr(room, "usable_memory", lambda: Memory(1000, 100))
        monkeypatch.setattr(room, "_SMALL", 0)
        path = save("a.png", PIL.Image.fromarray(grey).convert(mode))
        with (
            pytest.raises(ImageError, match=r"a\.png, which would have to be decoded as a whole.*tiled TIFF"),
            open_image(path),
        ):
            pass

    def test_an_array_is_an_image(self):
        array = np.arange(24).reshape(2, 3, 4)
        image = in_memory(array)
        assert (image.channels, image.size, image.whole is array) == (2, Size(3, 4), True)
        np.testing.assert_array_equal(image.read(Box(1, 1, 3, 2)), array[:, 1:3, 1:2])

    def test_threads_read_boxes_of_one_image(self, tmp_path, rng):
        array = samples(rng, (200, 300), np.uint16)
        path = written(tmp_path, array, tile=(32, 32), compression="deflate")
        corners = rng.integers(0, (150, 250), (200, 2))
        with open_image(path, at_once=0) as image, ThreadPoolExecutor(8) as pool:
            boxes = [Box(top, left, top + 50, left + 50) for top, left in corners.tolist()]
            for box, values in zip(boxes, pool.map(image.read, boxes), strict=True):
                np.testing.assert_array_equal(values[0], array[box.slices])


class TestErrors:
    """Whatever is wrong is an ImageError that names the file, also when only a box of it shows it."""

    @pytest.mark.parametrize("options", [{"compression": "deflate"}, {"compression": "lzw"}], ids=str)
    def test_damage_within_a_tile(self, tmp_path, rng, options):
        path = written(tmp_path, samples(rng, (64, 64), np.uint8), tile=(32, 32), **options)
        with tifffile.TiffFile(path) as file:
            offset, count = file.pages[0].dataoffsets[3], file.pages[0].databytecounts[3]
        content = bytearray(path.read_bytes())
        content[offset : offset + count] = b"\xff" * count
        path.write_bytes(content)
        with open_image(path, at_once=0) as image:
            assert image.read(Box(0, 0, 32, 64)).shape == (1, 32, 64)
            with pytest.raises(ImageError, match=r"a\.tif, which is damaged"):
                image.read(Box(0, 0, 64, 64))

    @pytest.mark.parametrize("options", [{}, {"tile": (32, 32), "compression": "deflate"}], ids=str)
    def test_a_tiff_that_is_cut_off(self, tmp_path, rng, options):
        path = written(tmp_path, samples(rng, (64, 64), np.uint8), **options)
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(ImageError, match=r"a\.tif"), open_image(path, at_once=0):
            pass

    def test_a_file_that_is_cut_off_while_it_is_read(self, tmp_path, rng):
        tiff = written(tmp_path, samples(rng, (64, 64), np.uint8), tile=(32, 32), compression="deflate")
        npy = tmp_path / "a.npy"
        np.save(npy, samples(rng, (64, 64), np.uint8))
        for path in (tiff, npy):
            with open_image(path, at_once=0) as image:
                path.write_bytes(path.read_bytes()[:900])
                with pytest.raises(ImageError, match=path.name):
                    image.read(Box(40, 40, 64, 64))

    def test_an_npy_file_that_is_cut_off(self, tmp_path, rng):
        path = tmp_path / "a.npy"
        np.save(path, samples(rng, (64, 64), np.uint8))
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(ImageError, match=r"a\.npy, which is damaged"), open_image(path, at_once=0):
            pass

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("missing.tif", "cannot be opened"),
            ("missing.zarr", "cannot be opened"),
            ("https://example.org/a.tif", "remote.*download it first"),
            ("s3://bucket/a.zarr", "remote.*download it first"),
        ],
    )
    def test_what_is_not_there(self, tmp_path, monkeypatch, name, words):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ImageError, match=words), open_image(name):
            pass

    def test_a_folder_that_is_no_zarr(self, tmp_path):
        with pytest.raises(ImageError, match=r"it is a folder.*zarr\.json"), open_image(tmp_path):
            pass

    def test_a_page_of_what_has_none(self, save, grey):
        with pytest.raises(ImageError, match="page 2 asked of"), open_image(Source(save("a.png", grey), 2)):
            pass

    def test_a_page_that_does_not_exist(self, tmp_path):
        path = written(tmp_path, np.zeros((2, 20, 30), np.uint16))
        with pytest.raises(ImageError, match="which has 2 pages"), open_image(Source(path, 2), at_once=0):
            pass

    def test_of_those_who_use_it_stay_theirs(self, save, grey):
        with pytest.raises(RuntimeError, match="out of paint"), open_image(save("a.png", grey)):
            raise RuntimeError("out of paint")


class TestFinding:
    """What a search of folders takes for images."""

    def test_files_by_their_ending_and_zarr_folders_as_one(self, tmp_path, save, grey):
        for name in ("b.png", "c.TIF", ".hidden.png", "notes.txt"):
            (tmp_path / name).write_bytes(b"")
        for mark in (".zgroup", "0/.zarray", "0/0.0"):
            (tmp_path / "a.zarr" / mark).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "a.zarr" / mark).write_text("{}")
        (tmp_path / "deeper").mkdir()
        (tmp_path / "deeper" / "d.npy").write_bytes(b"")
        found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
        assert found == ["a.zarr", "b.png", "c.TIF", "deeper/d.npy"]

    def test_a_link_that_leads_back_is_not_followed(self, tmp_path):
        (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
        (tmp_path / "a.png").write_bytes(b"")
        assert list(find_images(tmp_path)) == [tmp_path / "a.png"]

    def test_a_folder_of_images_is_no_image(self, tmp_path):
        assert not is_image(tmp_path)


class TestFacts:
    """What a TIFF says of its pixels."""

    def facts(self, tmp_path, array=None, **options):
        array = np.zeros((1, 20, 30), np.uint8) if array is None else array
        path = written(tmp_path, array, **options)
        with open_image(path) as image, open_image(path, at_once=0) as in_parts:
            assert image.facts == in_parts.facts
            return image.facts

    def test_of_ome_size_and_channel_names(self, tmp_path):
        said = {
            "axes": "CYX",
            "PhysicalSizeX": 250,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 500,
            "PhysicalSizeYUnit": "nm",
            "Channel": {"Name": ["DAPI", "GFP"]},
        }
        path = tmp_path / "a.ome.tif"
        tifffile.imwrite(path, np.zeros((2, 20, 30), np.uint8), metadata=said, compression="deflate")
        with open_image(path, at_once=0) as image:
            assert image.facts == PixelFacts((0.5, 0.25), "um", ("DAPI", "GFP"))

    def test_of_imagej_in_its_unit(self, tmp_path):
        facts = self.facts(
            tmp_path, imagej=True, resolution=(4.0, 2.0), metadata={"unit": "micron", "axes": "CYX"}
        )
        assert (facts.spacing, facts.unit) == ((0.5, 0.25), "um")

    def test_of_plain_resolution(self, tmp_path):
        facts = self.facts(tmp_path, resolution=(40_000, 20_000), resolutionunit="CENTIMETER")
        assert (facts.spacing, facts.unit) == ((0.5, 0.25), "um")

    @pytest.mark.parametrize("options", [{}, {"resolution": (72, 72), "resolutionunit": "INCH"}], ids=str)
    def test_a_resolution_of_screens_and_printers_says_nothing(self, tmp_path, options):
        assert self.facts(tmp_path, **options) == PixelFacts()

    def test_lying_on_its_side_has_height_and_width_exchanged(self, tmp_path):
        facts = self.facts(
            tmp_path,
            resolution=(40_000, 20_000),
            resolutionunit="CENTIMETER",
            extratags=[(274, 3, 1, 6, True)],
        )
        assert facts.spacing == (0.25, 0.5)

    def test_georeference_is_kept_as_it_stands(self, tmp_path):
        keys = (1, 1, 0, 3, 1024, 0, 1, 1, 3072, 0, 1, 32633, 3076, 0, 1, 9001)
        tags = [
            (33550, 12, 3, (10.0, 20.0, 0.0), True),
            (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 6e6, 0.0), True),
            (34735, 3, len(keys), keys, True),
            (34737, 2, 0, "UTM 33|", True),
            (42113, 2, 0, "-1", True),
        ]
        facts = self.facts(tmp_path, extratags=tags)
        assert (facts.spacing, facts.unit) == ((20.0, 10.0), "m")
        assert [(code, kind) for code, kind, _, _ in facts.geo] == [tag[:2] for tag in tags]
        assert [value for *_, value in facts.geo] == [tag[3] for tag in tags]
        again = written(tmp_path, np.zeros((20, 30), np.uint8), extratags=[(*tag, True) for tag in facts.geo])
        with open_image(again) as image:
            assert image.facts == facts

    @pytest.mark.parametrize("byteorder", ["<", ">"])
    def test_georeference_survives_into_what_is_written_of_it(self, tmp_path, byteorder):
        keys = (1, 1, 0, 3, 1024, 0, 1, 1, 3072, 0, 1, 32633, 3076, 0, 1, 9001)
        tags = [
            (33550, 12, 3, (10.0, 20.0, 0.0), True),
            (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 6e6, 0.0), True),
            (34735, 3, len(keys), keys, True),
        ]
        facts = self.facts(
            tmp_path, byteorder=byteorder, tile=(16, 16), compression="deflate", extratags=tags
        )
        again, layer = tmp_path / "b.tif", Layer(1, np.dtype(np.uint8))
        ones = np.ones((1, 20, 30), np.uint8)
        write_ome_tiff(
            again, lambda box: ones[:, *box.slices], Size(20, 30), layer, facts=facts, nearest=True
        )
        with open_image(again, at_once=0) as image:
            assert (image.facts.spacing, image.facts.unit) == ((20.0, 10.0), "m")
            assert image.facts.geo == facts.geo

    def test_broken_ome_metadata_does_not_matter(self, tmp_path):
        facts = self.facts(tmp_path, description="<OME><Image", metadata=None)
        assert facts == PixelFacts()
