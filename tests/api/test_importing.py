"""Another project's checkpoint becomes a run."""

import argparse
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import uvala
from uvala.api.importing import export_weights, import_weights
from uvala.errors import ConfigError, StorageError, UvalaError, WeightsError
from uvala.models.catalog import create_model
from uvala.weights.peers import to_peer

CHANNELS, CLASSES = 3, 4


def checkpoint(folder, name="pytorch_unet", origin="milesial", num_classes=CLASSES, extras=None, **options):
    """A file as that project's training saves it."""
    torch.manual_seed(0)
    model = create_model(
        name, in_channels=CHANNELS, num_classes=num_classes, **{"width": 4, **options}
    ).eval()
    path = folder / "checkpoint.pth"
    torch.save({**to_peer(origin, model), **(extras or {})}, path)
    return path, model


class TestRun:
    """What was imported predicts as the origin's own code would."""

    def test_probabilities_are_those_of_the_network_on_an_image_divided_by_255(self, tmp_path):
        path, model = checkpoint(tmp_path)
        run, _ = import_weights(path, tmp_path / "run", origin="milesial")
        image = np.random.default_rng(0).integers(0, 256, (37, 50, CHANNELS), np.uint8)
        with torch.no_grad():
            logits = model(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)
        predicted = uvala.load_run(run.path).predict(image).probabilities
        np.testing.assert_allclose(predicted, logits.softmax(dim=1)[0].numpy(), atol=1e-5)

    def test_a_single_logit_is_a_sigmoid_over_two_classes(self, tmp_path):
        path, model = checkpoint(tmp_path, num_classes=1)
        run, _ = import_weights(path, tmp_path / "run")
        image = np.random.default_rng(0).integers(0, 256, (32, 48, CHANNELS), np.uint8)
        with torch.no_grad():
            foreground = model(torch.from_numpy(image).permute(2, 0, 1)[None] / 255).sigmoid()[0, 0]
        predicted = uvala.load_run(run.path).predict(image)
        np.testing.assert_allclose(predicted.probabilities[1], foreground.numpy(), atol=1e-5)
        assert predicted.encoding.names == ("background", "foreground")

    def test_scores_masks_whatever_their_values_are(self, tmp_path, disc_data):
        path, _ = checkpoint(tmp_path, num_classes=2)
        run, _ = import_weights(path, tmp_path / "run", classes=["background", "disc"])
        scores = uvala.load_run(run.path).evaluate(disc_data, subset="all")  # 0 and 255
        assert len(scores.images) == 12

    def test_card_says_where_the_weights_came_from(self, tmp_path):
        path, _ = checkpoint(tmp_path)
        run, _ = import_weights(path, tmp_path / "run")
        assert run.card.data.imported.startswith("milesial")
        assert "checkpoint.pth" in run.card.data.notes[0]

    def test_a_network_of_valid_convolutions_predicts_the_whole_image(self, tmp_path):
        path, _ = checkpoint(tmp_path, name="paper_unet", origin="paper_unet", depth=3)
        run, _ = import_weights(path, tmp_path / "run")
        assert run.card.network.options["borders"] == "mirror"
        image = np.zeros((33, 20, CHANNELS), np.uint8)
        assert uvala.load_run(run.path).predict(image).mask.shape == (33, 20)

    def test_safetensors_are_read_as_well(self, tmp_path):
        path, _ = checkpoint(tmp_path)
        other = tmp_path / "weights.safetensors"
        save_file(torch.load(path, weights_only=True), other)
        first, second = (import_weights(each, tmp_path / each.stem)[0] for each in (path, other))
        assert first.weights_path.read_bytes() == second.weights_path.read_bytes()


class TestMaskValues:
    """Pytorch-UNet keeps the values of the masks that it was trained on."""

    def test_grey_values_are_written_again(self, tmp_path):
        path, _ = checkpoint(tmp_path, num_classes=2, extras={"mask_values": [0, 255]})
        run, _ = import_weights(path, tmp_path / "run")
        assert [entry.values for entry in run.card.encoding.classes] == [(0,), (255,)]

    @pytest.mark.parametrize("values", [[1, 1], [0], [-1, 3], [[-1, 300, 0], [0, 0, 0]], "01", {}], ids=str)
    def test_values_that_cannot_be_are_left_out(self, tmp_path, values):
        path, _ = checkpoint(tmp_path, num_classes=2, extras={"mask_values": values})
        run, _ = import_weights(path, tmp_path / "run")
        assert [entry.values for entry in run.card.encoding.classes] == [(0,), (1,)]

    def test_colours_are_written_again(self, tmp_path):
        path, _ = checkpoint(tmp_path, num_classes=2, extras={"mask_values": [[0, 0, 0], [255, 128, 0]]})
        run, _ = import_weights(path, tmp_path / "run")
        assert run.card.encoding.kind == "colours"
        assert run.card.encoding.spell(run.card.encoding.classes[1].values[0]) == "#ff8000"


class TestRefused:
    """What cannot be is said in one sentence, and nothing is left behind."""

    def test_wrong_number_of_names(self, tmp_path):
        path, _ = checkpoint(tmp_path)
        with pytest.raises(ConfigError, match="2 class names for a network of 4 classes"):
            import_weights(path, tmp_path / "run", classes=["a", "b"])
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("names", [["a", "a", "b", "c"], ["", "a", "b", "c"]], ids=str)
    def test_names_that_cannot_be(self, tmp_path, names):
        path, _ = checkpoint(tmp_path)
        with pytest.raises(ConfigError):
            import_weights(path, tmp_path / "run", classes=names)

    @pytest.mark.parametrize("hint", ["name", "origin", "tensors", "state_dict"])
    def test_hints_that_no_network_has(self, tmp_path, hint):
        path, _ = checkpoint(tmp_path)
        with pytest.raises(UvalaError, match=hint):
            import_weights(path, tmp_path / "run", origin="milesial", hints={hint: 1})

    def test_weights_that_are_no_numbers(self, tmp_path):
        path, _ = checkpoint(tmp_path)
        state = torch.load(path, weights_only=True)
        state["outc.conv.bias"][1] = float("nan")
        torch.save(state, path)
        with pytest.raises(WeightsError, match=r"outc\.conv\.bias"):
            import_weights(path, tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_a_file_that_is_no_checkpoint_is_told_by_its_beginning(self, tmp_path):
        (tmp_path / "page.pth").write_text("<!DOCTYPE html>")
        with pytest.raises(WeightsError, match="<!DOCTYPE html>"):
            import_weights(tmp_path / "page.pth", tmp_path / "run")

    def test_labels_of_nnunet_that_are_regions(self, tmp_path):
        model = create_model("plain_conv_unet", in_channels=1, num_classes=2, widths=(4, 8), strides=(1, 2))
        dataset = {"labels": {"background": 0, "whole": [1, 2], "core": 2}}
        content = {"network_weights": to_peer("dna", model), "init_args": {"dataset_json": dataset}}
        torch.save(content, tmp_path / "checkpoint_final.pth")
        with pytest.raises(ConfigError, match="regions"):
            import_weights(tmp_path / "checkpoint_final.pth", tmp_path / "run")

    def test_a_checkpoint_of_something_else(self, tmp_path):
        path = tmp_path / "other.pth"
        torch.save({"layer.weight": torch.zeros(3)}, path)
        with pytest.raises(WeightsError, match=r"layer\.weight"):
            import_weights(path, tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_a_folder_that_is_taken(self, tmp_path):
        path, _ = checkpoint(tmp_path)
        import_weights(path, tmp_path / "run")
        with pytest.raises(StorageError, match="another run"):
            import_weights(path, tmp_path / "run")


def test_runs_of_the_format_before_are_still_read(disc_run, tmp_path):
    import shutil

    old = tmp_path / "old"
    shutil.copytree(disc_run.path, old)
    card = json.loads((old / "card.json").read_text())
    card["format"] = 1
    del card["network"]["logits"], card["data"]["imported"]
    (old / "card.json").write_text(json.dumps(card))
    assert uvala.load_run(old).predict(np.zeros((20, 20), np.uint8)).mask.shape == (20, 20)


class TestNormalisation:
    """Intensities become what they became where the network was trained."""

    def test_of_networks_with_the_same_keys_is_that_of_the_project_that_builds_this_width(self, tmp_path):
        scales = {}
        for width in (32, 64):
            folder = tmp_path / str(width)
            folder.mkdir()
            path, _ = checkpoint(folder, name="unetpp", origin="nested_unet", width=width)
            run, match = import_weights(path, folder / "run")
            scales[match.origin] = run.card.normalisation
        assert scales.keys() == {"nested_unet", "bigmb"}
        assert scales["nested_unet"] != scales["bigmb"]

    def test_of_white_is_1(self, tmp_path):
        path, _ = checkpoint(tmp_path)
        run, _ = import_weights(path, tmp_path / "run", white=4095)
        assert run.card.normalisation.high == (4095.0,) * CHANNELS

    @pytest.mark.parametrize("white", [0, -3, float("nan"), float("inf")])
    def test_white_that_cannot_be_is_refused(self, tmp_path, white):
        path, _ = checkpoint(tmp_path)
        with pytest.raises(ConfigError, match="white"):
            import_weights(path, tmp_path / "run", white=white)

    def test_networks_that_expect_blue_green_red_get_them(self, tmp_path):
        options = {"width": 2, "fc_width": 4, "num_classes": 2}
        path, model = checkpoint(tmp_path, name="fcn32s_caffe", origin="caffe_fcn", **options)
        run, _ = import_weights(path, tmp_path / "run", origin="caffe_fcn")
        image = np.random.default_rng(0).integers(0, 256, (20, 24, CHANNELS), np.uint8)
        # the mean of the training images, blue, green, red, as published with the weights
        theirs = image[..., ::-1] - np.array([104.00698793, 116.66876762, 122.67891434])
        with torch.no_grad():
            logits = model(torch.from_numpy(theirs.copy()).permute(2, 0, 1)[None].float())
        predicted = uvala.load_run(run.path).predict(image).probabilities
        np.testing.assert_allclose(predicted, logits.softmax(dim=1)[0].numpy(), atol=1e-4)

    def test_is_said_in_words(self, tmp_path):
        path, _ = checkpoint(tmp_path)
        run, _ = import_weights(path, tmp_path / "run", mean=[0.5], std=[0.25, 0.5, 1])
        assert "images are divided by 255, less 0.5, 0.5, 0.5, divided by 0.25, 0.5, 1" in run.card.data.notes
        assert run.card.normalisation.low == (63.75, 0.0, -127.5)

    def test_numbers_that_do_not_fit_the_channels_are_refused(self, tmp_path):
        path, _ = checkpoint(tmp_path)
        with pytest.raises(ConfigError, match="2 numbers to normalise 3 channels"):
            import_weights(path, tmp_path / "run", mean=[0.5, 0.5])


class TestWrapped:
    """What trainers put around a network is taken off, and said."""

    def test_tensors_beside_the_network_are_left_out(self, tmp_path):
        path, model = checkpoint(tmp_path)
        state = {f"model.{key}": value for key, value in torch.load(path, weights_only=True).items()}
        torch.save({"state_dict": {**state, "loss.weight": torch.ones(4)}, "epoch": 3}, path)
        run, _ = import_weights(path, tmp_path / "run")
        assert any("loss.weight" in note for note in run.card.data.notes)
        assert run.model().state_dict().keys() == model.state_dict().keys()

    def test_arguments_of_a_script_may_lie_beside(self, tmp_path):
        path, _ = checkpoint(tmp_path)
        state = torch.load(path, weights_only=True)
        torch.save({"model": state, "args": argparse.Namespace(lr=0.1, device="cuda")}, path)
        import_weights(path, tmp_path / "run")

    def test_what_was_said_is_not_called_a_default(self, tmp_path):
        path, _ = checkpoint(tmp_path, name="r2unet", origin="zoo_r2unet")
        run, _ = import_weights(path, tmp_path / "run", hints={"steps": 2})
        assert not any("default" in note for note in run.card.data.notes)


class TestExport:
    """The way back: the weights under the names that they came with."""

    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    def test_gives_the_tensors_that_came(self, tmp_path, suffix):
        path, _ = checkpoint(tmp_path)
        run, _ = import_weights(path, tmp_path / "run")
        out = tmp_path / f"back{suffix}"
        export_weights(run.path, out, to="milesial")
        came = torch.load(path, weights_only=True)
        back = load_file(out) if suffix == ".safetensors" else torch.load(out, weights_only=True)
        assert back.keys() == came.keys()
        assert all(torch.equal(back[key], value) for key, value in came.items())

    def test_of_a_network_that_the_project_does_not_have_is_refused(self, disc_run, tmp_path):
        with pytest.raises(WeightsError, match="pocket_unet"):
            export_weights(disc_run.path, tmp_path / "out.pth", to="milesial")

    def test_says_what_the_names_do_not_tell(self, tmp_path):
        path, _ = checkpoint(tmp_path, name="r2unet", origin="zoo_r2unet", steps=3)
        run, _ = import_weights(path, tmp_path / "run", hints={"steps": 3})
        _, options = export_weights(run.path, tmp_path / "back.pth", to="zoo_r2unet")
        assert options == {"steps": 3}

    def test_of_channels_in_reverse_gives_the_weights_that_came(self, tmp_path):
        path, _ = checkpoint(tmp_path, name="unetpp", origin="nested_unet", width=32)
        run, _ = import_weights(path, tmp_path / "run")
        assert run.card.normalisation.reverse_channels
        export_weights(run.path, tmp_path / "back.pth", to="nested_unet")
        came, back = (torch.load(each, weights_only=True) for each in (path, tmp_path / "back.pth"))
        assert all(torch.equal(back[key], value) for key, value in came.items())

    def test_of_a_segnet_that_halves_is_refused_where_theirs_does_not(self, tmp_path):
        model = create_model("segnet", in_channels=3, num_classes=2, width=2)
        with pytest.raises(WeightsError, match="pool_stride"):
            to_peer("zoo_segnet", model)

    def test_never_overwrites(self, tmp_path):
        path, _ = checkpoint(tmp_path)
        run, _ = import_weights(path, tmp_path / "run")
        with pytest.raises(StorageError, match="exists"):
            export_weights(run.path, path, to="milesial")


def test_checkpoint_of_nnunet_keeps_its_normalisation_and_its_names(tmp_path):
    options = {"widths": (4, 8), "strides": (1, 2), "kernel_sizes": 3, "convolutions": 1}
    torch.manual_seed(0)
    model = create_model("plain_conv_unet", in_channels=1, num_classes=2, **options).eval()
    dataset = {"labels": {"background": 0, "kidney": 1}, "channel_names": {"0": "MRI"}}
    content = {"network_weights": to_peer("dna", model), "init_args": {"dataset_json": dataset}}
    torch.save(content, tmp_path / "checkpoint_final.pth")
    run, _ = import_weights(tmp_path / "checkpoint_final.pth", tmp_path / "run")
    image = np.random.default_rng(0).integers(0, 4000, (32, 48)).astype(np.uint16)
    image[0, 0] = 65535  # far beyond the others
    scaled = torch.from_numpy((image - image.mean()) / image.std()).float()
    with torch.no_grad():
        expected = model(scaled[None, None]).softmax(dim=1)[0]
    predicted = uvala.load_run(run.path).predict(image).probabilities
    np.testing.assert_allclose(predicted, expected.numpy(), atol=1e-4)
    assert run.card.encoding.names == ("background", "kidney")


def test_a_resume_of_what_was_imported_is_refused(tmp_path, disc_data):
    path, _ = checkpoint(tmp_path)
    run, _ = import_weights(path, tmp_path / "run")
    for options in ({"data": run.path}, {"data": disc_data, "out": run.path}):
        with pytest.raises(ConfigError, match="begin from it: uvala train DATA --from"):
            uvala.train(**options, resume=True)
