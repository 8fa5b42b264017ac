"""A file says what the run says, in every form; one that does not is not written."""

import json
import math
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

import uvala
from drawn import discs, write_touching_squares
from trainings import train_quickly
from uvala.api.exporting import export
from uvala.cli.main import app
from uvala.data.normalisation import Normalisation
from uvala.errors import BackendError, ConfigError, RunError, StorageError
from uvala.export import export as exporting
from uvala.export.config import ExportConfig
from uvala.export.dice import DiceLoss, require_dice, validation_dice
from uvala.export.trials import Trial, run_images
from uvala.export.verify import require_agreement, verify
from uvala.prediction.engine import Predictor
from uvala.prediction.exported import ExportedPredictor
from uvala.prediction.session import open_session
from uvala.tiling.config import TileConfig
from uvala.tiling.test_time_config import TestTimeConfig


def probabilities(path, image, **inputs):
    feed = {"image": image[None].astype(np.float32), **inputs}
    return onnxruntime.InferenceSession(path).run(["probabilities"], feed)[0][0]


class TestOnnx:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
    @pytest.mark.parametrize("size", [(1, 1), (3, 2), (33, 70), (96, 100)], ids=str)
    def test_file_says_what_the_run_says(self, exported, disc_run, size, dtype):
        image = discs(size, seed=9)[0].astype(dtype)
        found = probabilities(exported.path, image[None])
        np.testing.assert_allclose(found, disc_run.predict(image).probabilities, rtol=0, atol=1e-5)

    def test_a_batch_is_its_images(self, exported, disc_run):
        images = np.stack([discs(seed=seed)[0] for seed in (7, 8)])[:, None].astype(np.float32)
        found = onnxruntime.InferenceSession(exported.path).run(["mask"], {"image": images})[0]
        assert found.dtype == np.uint8
        for image, mask in zip(images, found, strict=True):
            np.testing.assert_array_equal(mask, disc_run.predict(image[0]).mask)

    def test_metadata_tell_classes_encoding_and_tiles(self, exported):
        said = {each.key: each.value for each in onnx.load(exported.path).metadata_props}
        assert json.loads(said["classes"]) == ["background", "foreground"]
        assert json.loads(said["mask_values"]) == [0, 255]
        assert json.loads(said["multiple"]) == 4
        assert json.loads(said["halo"]) == 24  # 22, up to the next multiple
        assert json.loads(said["uvala"])["card"]["data"]["path"] == ""

    def test_comparison_lies_beside_the_file(self, exported):
        found = json.loads((exported.path.parent / "discs.onnx.json").read_text())
        assert found["images"] == "images of data"
        assert found["largest_difference"] < 1e-5
        assert found["class_agreement"] == 1
        assert found["bytes"] == exported.path.stat().st_size
        assert {each["dtype"] for each in found["comparisons"]} == {"uint8", "uint16", "float32"}
        assert min(each["height"] for each in found["comparisons"]) < 4
        assert found["seconds_per_megapixel"].keys() == {"pytorch", "file"}

    def test_nothing_else_is_left_behind(self, exported):
        assert sorted(each.name for each in exported.path.parent.iterdir()) == [
            "discs.onnx",
            "discs.onnx.json",
        ]


def test_openvino_says_what_the_run_says(disc_run, tmp_path):
    written = export(disc_run.path, tmp_path / "discs.xml", to="openvino", mask=True)
    assert written.verification.difference < 1e-5
    assert sorted(each.name for each in tmp_path.iterdir()) == ["discs.bin", "discs.xml", "discs.xml.json"]
    image = discs((50, 61), seed=5)[0]
    prediction = ExportedPredictor(written.path)(image[None])
    np.testing.assert_array_equal(prediction.encoded, disc_run.predict(image).encoded)


def test_torch_says_what_the_run_says_and_holds_no_pickled_weights(disc_run, tmp_path):
    from zipfile import ZipFile

    written = export(disc_run.path, tmp_path / "discs.pt2", to="torch")
    with ZipFile(written.path) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
        weights = json.loads(archive.read(next(n for n in archive.namelist() if "weights_config" in n)))
    assert "extra/uvala.json" in names
    assert not any(each["use_pickle"] for each in weights["config"].values())
    module = torch.export.load(written.path).module()
    image = discs((21, 50), seed=5)[0]
    (found,) = module(torch.from_numpy(image[None, None].astype(np.float32)))
    np.testing.assert_allclose(
        found[0].detach().numpy(), disc_run.predict(image).probabilities, rtol=0, atol=1e-5
    )


class TestImagesWithLevelsOfTheirOwn:
    """The file looks for the levels of its image, or takes those of the whole that it is cut from."""

    @pytest.fixture(params=["percentiles", "deviation"])
    def run(self, changed_run, request):
        return changed_run(normalisation=Normalisation(by="image", levels=request.param))

    def test_nan_stands_for_those_of_the_image(self, run, tmp_path):
        written = export(run.path, tmp_path / "own.onnx")
        assert written.verification.difference < 1e-4
        image = discs((40, 50), seed=5)[0]
        found = probabilities(written.path, image[None], levels=np.full((1, 1, 2), np.nan, np.float32))
        np.testing.assert_allclose(found, run.predict(image).probabilities, rtol=0, atol=1e-4)

    def test_tiles_are_scaled_as_the_whole(self, run, tmp_path):
        image = discs((130, 150), seed=5)[0]
        small = run.card.tiles.model_copy(update={"size": 32, "whole_below": 0})
        predictor = ExportedPredictor(export(run.path, tmp_path / "own.onnx").path)
        predictor.card = predictor.card.model_copy(update={"tiles": small})
        expected = run.predict(image).probabilities
        np.testing.assert_allclose(predictor(image[None]).probabilities, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("objects", ["borders", "distance"])
def test_what_else_a_network_learnt_is_an_output_of_its_own(tmp_path, objects):
    run = train_quickly(
        write_touching_squares(tmp_path / "data"), tmp_path / "run", settings={"targets.objects": objects}
    )
    image = discs((32, 32))[0]
    for kind, name in (("onnx", "cells.onnx"), ("openvino", "cells.xml")):
        written = export(run.path, tmp_path / name, to=kind, mask=True)
        assert written.card.outputs == ("probabilities", objects, "mask")
        prediction = ExportedPredictor(written.path)(image[None])
        np.testing.assert_allclose(
            getattr(prediction, objects), getattr(run.predict(image), objects), rtol=0, atol=1e-4
        )


class TestFolds:
    @pytest.fixture
    def folded(self, changed_run, disc_run):
        run = changed_run(members=("fold1", "fold2"))
        for name, temperature in (("fold1", 1.0), ("fold2", 3.0)):
            changed_run(f"run/{name}", temperature=temperature)
        return uvala.load_run(run.path, device="cpu")

    def test_their_mean_is_in_the_file(self, folded, tmp_path):
        written = export(folded.path, tmp_path / "mean.onnx")
        assert written.card.networks == 2
        image = discs(seed=4)[0]
        found = probabilities(written.path, image[None])
        np.testing.assert_allclose(found, folded.predict(image).probabilities, rtol=0, atol=1e-5)

    def test_one_alone_can_be_chosen(self, folded, disc_run, tmp_path):
        written = export(folded.path, tmp_path / "first.onnx", fold=1)
        image = discs(seed=4)[0]
        found = probabilities(written.path, image[None])
        np.testing.assert_allclose(found, disc_run.predict(image).probabilities, rtol=0, atol=1e-5)

    def test_a_fold_that_is_not_there_is_refused(self, folded, disc_run, tmp_path):
        with pytest.raises(RunError, match=r"--fold 3 .*has 2 folds; expected a number from 1 to 2"):
            export(folded.path, tmp_path / "x.onnx", fold=3)
        with pytest.raises(RunError, match=r"--fold 1 .*has no folds; .*leave --fold out"):
            export(disc_run.path, tmp_path / "x.onnx", fold=1)


class TestRefusals:
    def test_a_file_that_disagrees_is_not_written(self, disc_run, tmp_path, monkeypatch):
        right = exporting.onnx_model

        def wrong(network, card):
            with torch.no_grad():
                network.networks[0].head.bias += torch.tensor([3.0, 0.0])
            graph = right(network, card)
            with torch.no_grad():
                network.networks[0].head.bias -= torch.tensor([3.0, 0.0])
            return graph

        monkeypatch.setattr(exporting, "onnx_model", wrong)
        with pytest.raises(BackendError, match=r"disagrees with PyTorch: by 0\.\d+ .*nothing was written"):
            export(disc_run.path, tmp_path / "wrong.onnx")
        assert not list(tmp_path.iterdir())

    def test_how_far_a_file_may_disagree_can_be_set(self, disc_run, tmp_path):
        with pytest.raises(BackendError, match=r"expected at most 1e-30, .*nothing was written"):
            export(disc_run.path, tmp_path / "x.onnx", settings={"most_difference": 1e-30})

    def test_an_unknown_setting(self, disc_run, tmp_path):
        asked = ["--to", "onnx", "--out", str(tmp_path / "x.onnx"), "--set", "most_diference=0.1"]
        result = CliRunner().invoke(app, ["export", str(disc_run.path), *asked])
        assert isinstance(result.exception, ConfigError)
        assert "'most_diference' in the settings of the export" in str(result.exception)
        assert "most_difference" in result.exception.fix

    def test_a_name_of_another_kind(self, disc_run, tmp_path):
        with pytest.raises(ConfigError, match=r"expected a name ending in \.xml; choose --out net\.xml"):
            export(disc_run.path, tmp_path / "net.onnx", to="openvino")

    @pytest.mark.parametrize("out", [".", "/"])
    def test_a_folder_in_place_of_a_name(self, disc_run, out):
        with pytest.raises(ConfigError, match=r"choose --out model\.onnx"):
            export(disc_run.path, out)

    def test_8_bits_that_say_no_number(self, exported):
        worst = replace(exported.verification.comparisons[0], difference=math.inf)
        found = replace(exported.verification, comparisons=(worst,))
        with pytest.raises(BackendError, match="disagrees"):
            require_agreement(found, ExportConfig(to="onnx", int8=True))

    def test_an_unknown_kind(self, disc_run, tmp_path):
        with pytest.raises(ConfigError, match="did you mean 'openvino'"):
            export(disc_run.path, tmp_path / "net.onnx", to="openvin")

    def test_a_name_in_capitals_beside_which_openvino_would_not_find_its_weights(self, disc_run, tmp_path):
        with pytest.raises(ConfigError, match=r"found --out NET\.XML .*choose --out NET\.xml"):
            export(disc_run.path, tmp_path / "NET.XML", to="openvino")

    def test_a_file_that_is_there(self, exported, disc_run):
        with pytest.raises(StorageError, match=r"discs\.onnx.*, which exists"):
            export(disc_run.path, exported.path)

    def test_eight_bits_where_no_runtime_computes_with_them(self, disc_run, tmp_path):
        with pytest.raises(ConfigError, match="--int8 with --to torch"):
            export(disc_run.path, tmp_path / "net.pt2", to="torch", int8=True)

    def test_a_package_that_is_missing(self, disc_run, tmp_path, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "onnx", None)
        with pytest.raises(BackendError, match=r"no onnx .*pip install 'uvala\[onnx\]'"):
            export(disc_run.path, tmp_path / "net.onnx")


def test_a_run_that_blends_tiles_even_of_small_images_is_compared_in_one_piece(changed_run, tmp_path):
    tiles = TileConfig(mode="blended", size=64, overlap=16, whole_below=0)
    written = export(changed_run(tiles=tiles).path, tmp_path / "net.onnx")
    assert written.verification.difference < 1e-5
    assert written.card.card.tiles == tiles


def test_a_number_of_pytorch_that_is_none_is_a_difference(exported, disc_run):
    calls = iter(range(10**6))

    def predict(image):
        found = disc_run.predictor(image)
        return replace(found, probabilities=found.probabilities * np.nan) if next(calls) else found

    tried = [Trial("one", discs(seed=seed)[0][None, None]) for seed in (1, 2)]
    found = verify(open_session(exported.path), predict, tried, "")
    assert found.difference == np.inf
    with pytest.raises(BackendError, match="disagrees with PyTorch"):
        require_agreement(found, ExportConfig())


def test_noise_stands_for_images_that_are_gone(changed_run, disc_run, tmp_path):
    data = disc_run.card.data.model_copy(update={"path": str(tmp_path / "gone")})
    written = export(changed_run(data=data).path, tmp_path / "net.onnx")
    assert written.verification.images.startswith("noise: the images trained on are no longer in")
    assert written.verification.difference < 1e-5


class TestEightBits:
    @pytest.mark.parametrize(("to", "name"), [("onnx", "net.onnx"), ("openvino", "net.xml")])
    def test_network_is_calibrated_on_its_training_images(self, disc_run, exported, tmp_path, to, name):
        written = export(disc_run.path, tmp_path / name, to=to, int8=True)
        assert written.dice.pytorch - written.dice.file <= 0.005
        assert open_session(written.path).card.int8
        weights = (tmp_path / "net.bin") if to == "openvino" else written.path
        assert weights.stat().st_size < 0.6 * exported.path.stat().st_size

    @pytest.mark.parametrize(("to", "name"), [("onnx", "net.onnx"), ("openvino", "net.xml")])
    def test_levels_of_an_image_keep_their_bits(self, changed_run, disc_run, tmp_path, to, name):
        own = disc_run.card.normalisation.model_copy(update={"by": "image"})
        written = export(changed_run(normalisation=own).path, tmp_path / name, to=to, int8=True)
        assert written.dice.pytorch - written.dice.file <= 0.005

    def test_images_that_are_gone_cannot_calibrate(self, changed_run, disc_run, tmp_path):
        data = disc_run.card.data.model_copy(update={"path": ""})
        with pytest.raises(BackendError, match="no training and no validation images"):
            export(changed_run(data=data).path, tmp_path / "net.onnx", int8=True)

    def test_dice_is_that_of_one_look_at_each_image_whatever_the_card_averages(self, changed_run, tmp_path):
        run = changed_run(test_time=TestTimeConfig(flip_horizontal=True, flip_vertical=True))
        session = open_session(export(run.path, tmp_path / "net.onnx").path)
        seen = []
        counting = replace(session, run=lambda inputs: seen.append(inputs) or session.run(inputs))
        predictor = Predictor(run.folder, "cpu", test_time=TestTimeConfig())
        found = validation_dice(counting, predictor, run_images(run.folder))
        assert len(seen) == found.images
        assert found.file == found.pytorch

    def test_the_mean_of_folds_has_no_images_to_be_judged_by(self, changed_run, tmp_path):
        run = changed_run(members=("fold1", "fold2"))
        with pytest.raises(ConfigError, match=r"--int8 for the mean of the 2 folds .*--fold, from 1 to 2"):
            export(run.path, tmp_path / "net.onnx", int8=True)

    def test_half_a_point_of_dice_is_the_most_that_they_may_cost(self):
        config = ExportConfig(int8=True)
        require_dice(DiceLoss(0.900, 0.8951, 3), config)
        with pytest.raises(
            BackendError, match=r"Dice 0\.8940 with 8 bits .*0\.9000 without: 0\.60 points less"
        ):
            require_dice(DiceLoss(0.900, 0.894, 3), config)


class TestCommand:
    def test_prints_what_the_comparison_found(self, disc_run, tmp_path):
        asked = ["export", str(disc_run.path), "--to", "onnx", "--out", str(tmp_path / "net.onnx")]
        result = CliRunner().invoke(app, asked)
        assert result.exit_code == 0, result.output
        assert "below the stride" in result.output
        assert "classes alike 100.0000%" in " ".join(result.output.split())

    @pytest.mark.parametrize(
        "options", [["--device", "cuda"], ["--memory", "1GB"], ["--backend", "torch-bf16"]], ids=" ".join
    )
    def test_what_a_file_cannot_do_is_refused(self, exported, disc_data, tmp_path, options):
        image = str(disc_data / "images" / "00.png")
        asked = ["predict", str(exported.path), image, "--out", str(tmp_path / "out"), *options]
        result = CliRunner().invoke(app, asked)
        assert isinstance(result.exception, ConfigError)
        assert f"found {options[0]} for discs.onnx" in str(result.exception)

    def test_file_predicts_as_the_run_does(self, exported, disc_run, disc_data, tmp_path):
        image = str(disc_data / "images" / "00.png")
        for model, out in ((exported.path, "file"), (disc_run.path, "run")):
            result = CliRunner().invoke(app, ["predict", str(model), image, "--out", str(tmp_path / out)])
            assert result.exit_code == 0, result.output
        assert (tmp_path / "file/00.png").read_bytes() == (tmp_path / "run/00.png").read_bytes()
