"""A file predicts as the run does that it was exported from."""

import json
import subprocess
import sys

import numpy as np
import pytest

from drawn import discs
from uvala.api.exporting import export
from uvala.arrays import Box
from uvala.errors import RunError, ShapeError
from uvala.images.lazy import in_memory
from uvala.prediction.engine import Predictor
from uvala.prediction.exported import ExportedPredictor
from uvala.prediction.file_card import FORMAT
from uvala.prediction.file_kinds import names_exported
from uvala.prediction.session import open_session
from uvala.tiling.test_time_config import TestTimeConfig


@pytest.fixture(scope="module")
def path(disc_run, tmp_path_factory):
    return export(disc_run.path, tmp_path_factory.mktemp("exported") / "discs.onnx").path


@pytest.fixture(scope="module")
def openvino(disc_run, tmp_path_factory):
    return export(disc_run.path, tmp_path_factory.mktemp("exported") / "discs.xml", to="openvino").path


@pytest.fixture
def tiled(path):
    predictor = ExportedPredictor(path)
    small = predictor.card.tiles.model_copy(update={"size": 64, "whole_below": 0})
    predictor.card = predictor.card.model_copy(update={"tiles": small})
    return predictor


def test_prediction_is_that_of_the_run(path, disc_run):
    image = discs((45, 70), seed=3)[0]
    found, expected = ExportedPredictor(path)(image[None]), disc_run.predict(image)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found.encoded, expected.encoded)
    np.testing.assert_array_equal(found.objects, expected.objects)


def test_tiles_give_the_numbers_of_the_whole_image(tiled, disc_run):
    image = discs((150, 211), seed=3)[0]
    expected = disc_run.predict(image).probabilities
    np.testing.assert_allclose(tiled(image[None]).probabilities, expected, rtol=0, atol=1e-5)


def test_blocks_give_the_numbers_of_the_whole_image(tiled, disc_run):
    image = discs((150, 211), seed=3)[0]
    found = np.full((2, 150, 211), np.nan, np.float32)
    for box, outputs in tiled.outputs_in_blocks(in_memory(image[None]), grid=32, finished=[Box(0, 0, 0, 0)]):
        found[:, *box.slices] = outputs.probabilities
    np.testing.assert_allclose(found, disc_run.predict(image).probabilities, rtol=0, atol=1e-5)


def test_views_are_averaged_where_they_are_asked_for(path, disc_run):
    views, image = TestTimeConfig(flip_horizontal=True), discs((41, 50), seed=4)[0][None]
    found = ExportedPredictor(path, test_time=views)(image, spread=True)
    expected = Predictor(disc_run.folder, "cpu", test_time=views)(image, spread=True)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.entropy, expected.entropy, rtol=0, atol=1e-4)


def test_identity_is_that_of_file_and_views(path, tmp_path):
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(path.read_bytes())
    assert ExportedPredictor(path).identity == ExportedPredictor(copy).identity
    mirrored = ExportedPredictor(path, test_time=TestTimeConfig(flip_vertical=True))
    assert mirrored.identity != ExportedPredictor(path).identity


def test_other_channels_are_refused(path):
    with pytest.raises(ShapeError, match="an image of 4 channels; expected 1"):
        ExportedPredictor(path)(np.zeros((4, 20, 20), np.uint8))


def test_identity_of_onnx_does_not_know_what_lies_beside_it(path, tmp_path):
    before = ExportedPredictor(path).identity
    (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / path.name).with_suffix(".bin").write_bytes(b"weights for OpenVINO")
    assert ExportedPredictor(tmp_path / path.name).identity == before


@pytest.mark.parametrize("name", ["damaged.onnx", "damaged.xml"])
@pytest.mark.parametrize("content", [b"", b"what is this", bytes(range(256)) * 40, b"\x08\x08"], ids=len)
def test_a_damaged_file_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RunError, match=f"{name}, which (cannot be opened|says nothing of uvala)"):
        open_session(tmp_path / name)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
class TestTruncated:
    """What is left of a file whose copying was stopped."""

    def test_onnx_is_named(self, path, tmp_path, share):
        content = path.read_bytes()
        (tmp_path / "part.onnx").write_bytes(content[: int(share * len(content))])
        with pytest.raises(RunError, match=r"part\.onnx, which (cannot be opened|says nothing of uvala)"):
            open_session(tmp_path / "part.onnx")

    @pytest.mark.parametrize("suffix", [".xml", ".bin"])
    def test_openvino_is_named(self, openvino, tmp_path, share, suffix):
        for each in (".xml", ".bin"):
            content = openvino.with_suffix(each).read_bytes()
            whole = len(content) if each != suffix else int(share * len(content))
            (tmp_path / f"part{each}").write_bytes(content[:whole])
        with pytest.raises(RunError, match=r"part\.xml, which (cannot be opened|says nothing of uvala)"):
            open_session(tmp_path / "part.xml")


def test_a_damaged_file_ends_the_command_with_a_sentence(tmp_path):
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "image.npy").touch()
    command = [sys.executable, "-m", "uvala", "predict", tmp_path / "empty.onnx", tmp_path / "image.npy"]
    told = subprocess.run([*command, "--out", tmp_path / "out"], capture_output=True, text=True)
    assert told.returncode == 2
    assert "empty.onnx, which cannot be opened" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_file_of_a_later_version_is_refused(path, tmp_path):
    import onnx

    model = onnx.load(path)
    (said,) = (each for each in model.metadata_props if each.key == "uvala")
    said.value = json.dumps(json.loads(said.value) | {"format": FORMAT + 1})
    onnx.save(model, tmp_path / "later.onnx")
    with pytest.raises(RunError, match=r"later\.onnx, which another version of uvala wrote"):
        open_session(tmp_path / "later.onnx")


def test_a_file_of_another_project_is_refused(path, tmp_path):
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(RunError, match=r"other\.onnx, which says nothing of uvala"):
        open_session(tmp_path / "other.onnx")


def test_only_files_that_cannot_run_code_are_opened(tmp_path):
    (tmp_path / "net.pt2").touch()
    with pytest.raises(RunError, match=r"ending in \.onnx or \.xml"):
        open_session(tmp_path / "net.pt2")
    assert names_exported(tmp_path / "net.pt2")  # so that it is not taken for a run folder
