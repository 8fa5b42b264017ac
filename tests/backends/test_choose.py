"""The fastest runtime that is right is chosen, and remembered."""

import pytest
import torch
from torch import nn

from uvala.arrays import Size
from uvala.backends import accelerate as accelerate_module
from uvala.backends import choose as choose_module
from uvala.backends.agreement import compare, noise
from uvala.backends.choose import choose
from uvala.errors import BackendError
from uvala.models.catalog import create_model

CHANNELS = 2
TILE = Size(64, 64)


@pytest.fixture(autouse=True)
def _a_fresh_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("UVALA_CACHE", str(tmp_path))


def chosen(model: nn.Module, names="auto", **others):
    return choose(model, names, in_channels=CHANNELS, tile=TILE, threads=1, **others)


def times(monkeypatch, **seconds: float) -> list[str]:
    """Let runtimes take so long; who was measured, in the order in which it was."""
    measured = []

    def race(modules, image, **limits):
        measured.extend(modules)
        return {name: seconds[name] for name in modules}

    monkeypatch.setattr(choose_module, "race", race)
    return measured


def test_measures_each_and_checks_its_numbers(pocket):
    choice = chosen(pocket, ["torch", "onnxruntime"])
    assert choice.seconds.keys() == choice.differences.keys() == {"torch", "onnxruntime"}
    assert max(choice.differences.values()) < 1e-4
    image = noise(1, CHANNELS, 33, 40)
    with torch.no_grad():
        assert compare(pocket(image), choice.module(image)).difference < 1e-4


@pytest.mark.parametrize(("seconds", "winner"), [(0.5, "onnxruntime"), (0.99, "torch"), (2, "torch")])
def test_takes_the_fastest_unless_torch_is_about_as_fast(pocket, monkeypatch, seconds, winner):
    times(monkeypatch, torch=1, onnxruntime=seconds)
    assert chosen(pocket, ["torch", "onnxruntime"]).name == winner


def test_torch_is_faster_where_it_computes_a_part_of_each_tile(pocket, monkeypatch):
    times(monkeypatch, torch=1, onnxruntime=0.5)
    names = ["torch", "onnxruntime"]
    assert chosen(pocket, names, torch_share=0.4).name == "torch"
    assert chosen(pocket, names, torch_share=0.9).name == "onnxruntime"


def test_remembers_networks_of_the_same_structure(make, monkeypatch):
    measured = times(monkeypatch, torch=1, onnxruntime=0.5)
    for seed in (1, 2):
        assert chosen(make("pocket_unet", seed=seed), ["torch", "onnxruntime"]).name == "onnxruntime"
    once = len(measured)
    assert chosen(make("pocket_unet", width=8), ["torch", "onnxruntime"]).name == "onnxruntime"
    assert len(measured) == 2 * once


def test_a_damaged_memory_is_made_anew(pocket, monkeypatch, tmp_path):
    times(monkeypatch, torch=1, onnxruntime=0.5)
    first = chosen(pocket, ["torch", "onnxruntime"])
    (file,) = (tmp_path / "choices").iterdir()
    file.write_text("{")
    assert chosen(pocket, ["torch", "onnxruntime"]).seconds == first.seconds


def test_a_runtime_with_other_numbers_is_not_chosen(pocket, monkeypatch):
    class Wrong(nn.Module):
        def forward(self, image):
            return pocket(image) + 0.1

    start = choose_module.start
    monkeypatch.setattr(
        choose_module, "start", lambda name, *others: Wrong() if name == "ncnn" else start(name, *others)
    )
    times(monkeypatch, torch=1, ncnn=0.1)
    choice = chosen(pocket, ["torch", "ncnn"])
    assert choice.name == "torch"
    assert "differ by" in choice.refused["ncnn"]


def test_a_failure_that_may_pass_is_not_remembered(pocket, monkeypatch):
    times(monkeypatch, torch=1, onnxruntime=0.5)
    start = choose_module.start

    def busy(name, *others):
        if name == "onnxruntime":
            raise BackendError(found="a timeout", expected="a free machine", fix="try again")
        return start(name, *others)

    with monkeypatch.context() as patch:
        patch.setattr(choose_module, "start", busy)
        assert chosen(pocket, ["torch", "onnxruntime"]).refused == {"onnxruntime": "a timeout"}
    assert chosen(pocket, ["torch", "onnxruntime"]).name == "onnxruntime"


def test_what_a_runtime_can_never_compute_is_remembered(monkeypatch, tmp_path):
    model = create_model("unet", in_channels=CHANNELS, num_classes=2, width=4, depth=2, norm="instance")
    chosen(model, ["torch", "onnxruntime"])
    assert len(list((tmp_path / "choices").iterdir())) == 1


def test_what_is_for_another_device_is_left_out_and_the_choice_remembered(pocket, monkeypatch):
    backends = accelerate_module._BACKENDS
    monkeypatch.setitem(backends, "ncnn", backends["ncnn"]._replace(device="cuda"))
    monkeypatch.setattr(choose_module, "EXACT", ("torch", "onnxruntime", "ncnn"))
    measured = times(monkeypatch, torch=1, onnxruntime=2)
    choice = chosen(pocket)
    assert (choice.name, choice.refused) == ("torch", {})
    once = len(measured)
    assert chosen(pocket).name == "torch"
    assert len(measured) == once


def test_what_rounds_to_16_bits_is_never_chosen_unasked(pocket, monkeypatch):
    monkeypatch.setattr(choose_module, "available", lambda device: ("torch", "torch-bf16"))
    choice = chosen(pocket)
    assert choice.name == "torch"
    assert not choice.refused


def test_networks_that_must_be_told_stay_with_torch_and_it_is_said():
    model = create_model("unet", in_channels=CHANNELS, num_classes=2, width=4, depth=2, norm="instance")
    choice = chosen(model, ["torch", "onnxruntime"])
    assert choice.name == "torch"
    assert "statistics of the whole image" in choice.refused["onnxruntime"]


def test_little_work_is_left_to_torch_without_measuring(pocket, monkeypatch):
    measured = times(monkeypatch)
    assert chosen(pocket, megapixels=0.1).name == "torch"
    assert not measured


def test_without_any_that_can_be_used_there_is_an_error():
    model = create_model("unet", in_channels=CHANNELS, num_classes=2, width=4, depth=2, norm="instance")
    with pytest.raises(BackendError, match=r"onnxruntime: .*; add torch"):
        chosen(model, ["onnxruntime"])
