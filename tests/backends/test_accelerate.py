"""A network says the same with every runtime."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from uvala.arrays import Size
from uvala.backends import accelerate as accelerate_module
from uvala.backends.accelerate import accelerate, available, threads_each
from uvala.backends.agreement import compare, noise
from uvala.backends.runtime import Accelerated, Wanted, accelerated
from uvala.backends.torch_compile import Compiled
from uvala.backends.torch_eager import HalfPrecision
from uvala.errors import BackendError, UnknownNameError
from uvala.models.catalog import create_model, recipe_of
from uvala.tiling.logits import predict_logits

CHANNELS = 2
TILE = Size(64, 64)
RUNTIMES = ["onnxruntime", "openvino", "ncnn"]


def ready(model: nn.Module, name: str) -> nn.Module:
    return accelerate(model, name, in_channels=CHANNELS, tile=TILE, threads=1)


def difference(model: nn.Module, other: nn.Module, *shape: int) -> float:
    image = noise(shape[0], CHANNELS, *shape[1:])
    with torch.no_grad():
        return compare(model(image), other(image)).difference


@pytest.mark.parametrize("name", ["torch", *RUNTIMES])
class TestRuntime:
    def test_computes_any_size_and_batch(self, pocket, name):
        fast = ready(pocket, name)
        for shape in [(1, 64, 64), (2, 33, 50), (3, 8, 9), (1, 1, 3), (1, 130, 65)]:
            assert difference(pocket, fast, *shape) < 1e-4, shape

    def test_computes_sizes_that_the_network_takes_as_they_are(self, ragged, name):
        fast = ready(ragged, name)
        for shape in [(1, 64, 80), (2, 65, 79), (1, 47, 50), (1, 15, 40)]:
            assert difference(ragged, fast, *shape) < 1e-4, shape

    def test_gives_tiles_the_numbers_of_the_whole_image(self, pocket, name):
        image = noise(1, CHANNELS, 150, 190)[0]
        tiled = predict_logits(ready(pocket, name), image, tile=64)
        whole = predict_logits(pocket, image)
        assert compare(whole[None], tiled[None]).difference < 1e-4

    def test_leaves_the_network_as_it_is(self, pocket, name):
        before = copy.deepcopy(pocket.state_dict())
        ready(pocket.train(), name)
        assert pocket.training
        assert all(torch.equal(each, before[key]) for key, each in pocket.state_dict().items())


@pytest.mark.parametrize("name", RUNTIMES)
def test_networks_that_must_be_told_of_the_whole_image_are_left_to_torch(name):
    model = create_model("unet", in_channels=CHANNELS, num_classes=2, width=4, depth=2, norm="instance")
    with pytest.raises(BackendError, match="statistics of the whole image"):
        ready(model, name)
    assert difference(model.eval(), ready(model, "torch"), 1, 33, 40) < 1e-4


def test_a_runtime_tells_of_itself_what_the_network_does(ragged):
    fast = ready(ragged, "onnxruntime")
    assert (fast.multiple, fast.padded_to) == (16, 1)
    assert recipe_of(fast) == recipe_of(ragged)


def test_a_copy_of_it_is_a_network_of_torch(pocket):
    copied = copy.deepcopy(ready(pocket, "onnxruntime"))
    assert not any(isinstance(module, Accelerated) for module in copied.modules())
    assert difference(pocket, copied, 1, 20, 20) < 1e-4


def test_a_runtime_with_other_numbers_is_refused(pocket):
    def wrong(images):
        with torch.no_grad():
            return 1.01 * pocket(torch.from_numpy(images)).numpy()

    with pytest.raises(BackendError, match="off by"):
        accelerated(pocket, wrong, "wrong", Wanted(CHANNELS, TILE, 1))


def test_a_runtime_that_is_right_for_multiples_alone_gets_no_other_sizes(ragged):
    def right_for_multiples(images):
        with torch.no_grad():
            return ragged(torch.from_numpy(images)).numpy() * (images.shape[2] % 16 == 0)

    fast = accelerated(ragged, right_for_multiples, "some", Wanted(CHANNELS, TILE, 1))
    assert fast.takes(Size(48, 64))
    assert not fast.takes(Size(47, 64))
    assert difference(ragged, fast, 1, 47, 64) < 1e-4


def test_whatever_a_runtime_stumbles_over_is_an_error_of_ours(pocket, monkeypatch):
    def prepare(network, wanted):
        raise RuntimeError("no such layer\nand a page of C++")

    backends = accelerate_module._BACKENDS
    monkeypatch.setitem(backends, "ncnn", backends["ncnn"]._replace(prepare=prepare))
    with pytest.raises(BackendError, match=r"ncnn, which fails with PocketUNet \(no such layer\)"):
        ready(pocket, "ncnn")


def test_an_unknown_name_suggests_the_nearest(pocket):
    with pytest.raises(UnknownNameError, match="did you mean 'openvino'"):
        ready(pocket, "openvin")


def test_what_is_not_installed_is_answered_with_what_to_install(pocket, monkeypatch):
    monkeypatch.setattr(accelerate_module, "find_spec", lambda package: None)
    assert set(available()) <= {"torch", "compile"}
    with pytest.raises(BackendError, match=r"ncnn and pnnx.*uvala\[ncnn\]"):
        ready(pocket, "ncnn")


def test_without_a_gpu_there_is_no_tensorrt(pocket):
    with pytest.raises(BackendError, match="for a network on cpu"):
        ready(pocket, "tensorrt")


def test_threads_are_shared_by_the_images_at_once(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(accelerate_module, "usable_cores", lambda: 6)
    assert [threads_each(at_once) for at_once in (1, 2, 4, 100)] == [6, 3, 1, 1]


def test_openvino_is_imported_without_what_reports_it():
    code = (
        "import sys; from uvala.backends.openvino import import_openvino; import_openvino();"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


class TestHalfPrecision:
    def test_is_refused_where_the_device_has_none(self, pocket):
        with pytest.raises(BackendError, match="float16 on cpu"):
            accelerate(pocket, "torch", in_channels=CHANNELS, tile=TILE, precision="float16")

    def test_gives_nearly_the_same_logits_as_float32(self, pocket):
        half = HalfPrecision(pocket, torch.bfloat16)
        assert half(noise(1, CHANNELS, 20, 24)).dtype == torch.float32
        assert 0 < difference(pocket, half, 1, 20, 24) < 0.2


def test_only_single_images_of_the_tile_are_compiled(pocket, monkeypatch):
    seen = []

    def compile(network, **options):
        return lambda image: seen.append(tuple(image.shape)) or network(image)

    monkeypatch.setattr(torch, "compile", compile)
    compiled = Compiled(pocket, TILE)
    for shape in [(1, 64, 64), (2, 64, 64), (1, 64, 60)]:
        assert difference(pocket, compiled, *shape) == 0
    assert seen == [(1, CHANNELS, 64, 64)]


def test_networks_of_valid_convolutions_give_as_many_logits_as_with_torch(make):
    model = make("paper_unet", width=4, depth=3, borders="valid")
    fast = ready(model, "onnxruntime")
    for side in (model.smallest, 100):
        assert fast(noise(1, CHANNELS, side, side)).shape[-1] < side
        assert difference(model, fast, 1, side, side) < 1e-4
