"""Checkpoint files as people have them: what is taken off, what is refused, and what is said then."""

import io
import pickle
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from uvala.errors import WeightsError
from uvala.models.catalog import create_model
from uvala.weights.nnunet_plans import network_from_plans
from uvala.weights.peers import from_peer, to_peer
from uvala.weights.read import read_checkpoint, unwrap

WEIGHTS = {"inc.weight": torch.ones(2, 3), "inc.bias": torch.zeros(2)}


def saved(content, path: Path, **options) -> Path:
    torch.save(content, path, **options)
    return path


class Rude:
    """An object whose unpickling runs code."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return (Path.touch, (self.file,))


class TestWrappersAndPrefixes:
    """What trainers put around the weights is taken off, and kept as extras."""

    @pytest.mark.parametrize(
        "content",
        [
            WEIGHTS,
            {"state_dict": WEIGHTS, "epoch": 3},
            {"model_state_dict": WEIGHTS, "optimizer_state_dict": {"state": {}}},
            {"network_weights": WEIGHTS, "trainer_name": "nnUNetTrainer"},
            {"model": WEIGHTS, "loss": torch.tensor(0.1)},
            {"model": {"name": "unet"}, "weights": WEIGHTS},
            {"checkpoint": 1, "model": {"state_dict": WEIGHTS}},
            {f"module.{key}": value for key, value in WEIGHTS.items()},
            {f"_orig_mod.module.{key}": value for key, value in WEIGHTS.items()},
            {"state_dict": {f"model.net.{key}": value for key, value in WEIGHTS.items()}},
            {key: torch.nn.Parameter(value) for key, value in WEIGHTS.items()},
        ],
        ids=lambda content: ", ".join(content),
    )
    def test_the_weights_are_found(self, content):
        tensors = unwrap(content).tensors
        assert tensors.keys() == WEIGHTS.keys()
        assert all(torch.equal(tensors[key], value) for key, value in WEIGHTS.items())

    def test_a_prefix_that_only_some_have_stays(self):
        mixed = {"model.a": torch.ones(1), "head.a": torch.ones(1)}
        assert unwrap(mixed).tensors.keys() == mixed.keys()

    def test_mask_values_of_pytorch_unet_are_an_extra(self):
        checkpoint = unwrap({**WEIGHTS, "mask_values": [0, 255]})
        assert checkpoint.tensors.keys() == WEIGHTS.keys()
        assert checkpoint.extras == {"mask_values": [0, 255]}

    def test_what_lies_beside_the_weights_is_kept(self):
        assert unwrap({"state_dict": WEIGHTS, "epoch": 3}).extras == {"epoch": 3}

    @pytest.mark.parametrize(
        ("content", "found"),
        [
            ({}, "nothing"),
            ({"epoch": 3, "lr": 0.1}, "epoch, lr"),
            ({"state_dict": {}}, "nothing"),
            ([torch.ones(1)], "a list"),
            (None, "a NoneType"),
        ],
        ids=str,
    )
    def test_without_tensors_it_says_what_there_is(self, content, found):
        with pytest.raises(WeightsError, match=found):
            unwrap(content)


class TestFiles:
    """Files of torch.save, old and new, and .safetensors, by their content."""

    @pytest.mark.parametrize("zipped", [True, False])
    def test_file_of_torch_save(self, tmp_path, zipped):
        path = saved(WEIGHTS, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
        assert read_checkpoint(path).tensors.keys() == WEIGHTS.keys()

    @pytest.mark.parametrize("name", ["a.safetensors", "a.bin"])
    def test_safetensors_by_any_name(self, tmp_path, name):
        save_file(WEIGHTS, tmp_path / name)
        assert read_checkpoint(str(tmp_path / name)).tensors.keys() == WEIGHTS.keys()

    def test_no_file(self, tmp_path):
        with pytest.raises(WeightsError, match=r"a\.pth, which is not there"):
            read_checkpoint(tmp_path / "a.pth")

    @pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"version https://git-lfs.github.com/spec/v1\n",
            b"<!DOCTYPE html>",
            b"\x89PNG\r\n\x1a\n" + bytes(99),
        ],
        ids=["nothing", "a pointer", "a page", "an image"],
    )
    def test_a_file_of_something_else_is_named(self, tmp_path, content, name):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=rf"{name}, which cannot be read"):
            read_checkpoint(tmp_path / name)

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
    @pytest.mark.parametrize("kind", ["zip", "pickle", "safetensors"])
    def test_half_a_file_is_named(self, tmp_path, kind, share):
        whole = tmp_path / f"whole.{kind}"
        if kind == "safetensors":
            save_file(WEIGHTS, whole)
        else:
            saved(WEIGHTS, whole, _use_new_zipfile_serialization=kind == "zip")
        content = whole.read_bytes()
        half = tmp_path / f"half.{kind}"
        half.write_bytes(content[: int(share * len(content))])
        with pytest.raises(WeightsError, match=f"half.{kind}, which cannot be read"):
            read_checkpoint(half)

    @pytest.mark.parametrize("seed", range(50))
    def test_a_damaged_file_is_read_or_refused_by_name(self, tmp_path, seed):
        buffer, generator = io.BytesIO(), random.Random(seed)
        torch.save(WEIGHTS, buffer, _use_new_zipfile_serialization=False)
        content = bytearray(buffer.getvalue())
        content[generator.randrange(len(content))] = generator.randrange(256)
        (tmp_path / "damaged.pth").write_bytes(content)
        with suppress(WeightsError):
            read_checkpoint(tmp_path / "damaged.pth")


class TestCode:
    """Only tensors and plain values are read; nothing that a file says is run."""

    def test_a_pickled_network_is_refused_by_its_class(self, tmp_path):
        path = saved(torch.nn.Conv2d(1, 1, 1), tmp_path / "model.pth")
        with pytest.raises(WeightsError, match=r"plain values: torch\.nn\.modules\.conv\.Conv2d"):
            read_checkpoint(path)

    @pytest.mark.parametrize("zipped", [True, False])
    def test_code_is_refused_and_not_run(self, tmp_path, zipped):
        touched = tmp_path / "touched"
        content = {"network_weights": WEIGHTS, "score": np.float64(0.5), "rude": Rude(touched)}
        path = saved(content, tmp_path / "rude.pth", _use_new_zipfile_serialization=zipped)
        with pytest.raises(WeightsError, match="more than tensors and plain values"):
            read_checkpoint(path)
        assert not touched.exists()

    def test_a_plain_pickle_is_refused_and_not_run(self, tmp_path):
        touched = tmp_path / "touched"
        (tmp_path / "rude.pth").write_bytes(pickle.dumps({**WEIGHTS, "rude": Rude(touched)}))
        with pytest.raises(WeightsError, match=r"rude\.pth"):
            read_checkpoint(tmp_path / "rude.pth")
        assert not touched.exists()

    def test_arrays_of_numpy_are_refused(self, tmp_path):
        # unlike its scalars they can hold any object
        with pytest.raises(WeightsError, match=r"multiarray\._reconstruct"):
            read_checkpoint(saved({**WEIGHTS, "array": np.zeros(3)}, tmp_path / "array.pth"))

    def test_scalars_are_allowed_for_this_one_file(self, tmp_path):
        path = saved({**WEIGHTS, "score": np.float64(0.5)}, tmp_path / "scalar.pth")
        read_checkpoint(path)
        with pytest.raises(pickle.UnpicklingError):
            torch.load(path, weights_only=True)


def nnunet_checkpoint(model: torch.nn.Module) -> dict:
    """What nnU-Net v2 saves as checkpoint_final.pth."""
    return {
        "network_weights": to_peer("dna", model),
        "optimizer_state": {
            "state": {0: {"momentum_buffer": torch.zeros(3)}},
            "param_groups": [{"lr": 0.01}],
        },
        "grad_scaler_state": None,
        "logging": {
            "mean_fg_dice": [np.float64(0.5), np.float64("nan")],
            "dice_per_class_or_region": [[np.float64(0.5), np.float32(0.25)]],
            "train_losses": [np.float32(-0.5)],
            "epoch_start_timestamps": [1700000000.25],
            "lrs": [0.01],
        },
        "_best_ema": np.float64(0.5),
        "current_epoch": np.int64(1000),
        "init_args": {
            "plans": {
                "configurations": {
                    "2d": {
                        "UNet_class_name": "PlainConvUNet",
                        "UNet_base_num_features": 4,
                        "unet_max_num_features": 6,
                        "n_conv_per_stage_encoder": [2, 2, 2],
                        "n_conv_per_stage_decoder": [2, 2],
                        "pool_op_kernel_sizes": [[1, 1], [2, 2], [2, 2]],
                        "conv_kernel_sizes": [[3, 3], [3, 3], [3, 3]],
                    }
                }
            },
            "configuration": "2d",
            "fold": 0,
            "dataset_json": {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}},
            "device": torch.device("cpu"),
        },
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1),
    }


def test_nnunets_checkpoint_is_read_with_its_plans(tmp_path):
    model = create_model("plain_conv_unet", in_channels=1, num_classes=2, widths=(4, 6, 6)).eval()
    checkpoint = read_checkpoint(saved(nnunet_checkpoint(model), tmp_path / "checkpoint_final.pth"))
    assert checkpoint.extras["logging"]["train_losses"] == [np.float32(-0.5)]
    name, options = network_from_plans(checkpoint.extras)
    again = from_peer("dna", checkpoint.tensors, **options)
    image = torch.randn(1, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(again(image), model(image))
    assert name == "plain_conv_unet"


def test_scalars_of_numpy_1_are_read_by_their_older_name(tmp_path):
    path = tmp_path / "old.pth"
    saved({**WEIGHTS, "score": np.float64(0.5)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert read_checkpoint(path).extras == {"score": 0.5}
