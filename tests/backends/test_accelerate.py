"""A network says the same with every runtime."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from uvala.arrays import Size
from uvala.backends import accelerate as accelerate_module
from uvala.backends import ncnn as ncnn_module
from uvala.backends import tensorrt as tensorrt_module
from uvala.backends import torch_compile as compile_module
from uvala.backends.accelerate import accelerate, available, threads_each
from uvala.backends.agreement import compare, noise
from uvala.backends.runtime import Accelerated, Wanted, accelerated
from uvala.backends.torch_compile import Compiled, prepare_compiled
from uvala.backends.torch_eager import prepare_half
from uvala.errors import BackendError, UnknownNameError, UnsuitableError
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
    with pytest.raises(UnsuitableError, match="statistics of the whole image"):
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

    with pytest.raises(UnsuitableError, match="off by"):
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
    assert set(available()) <= {"torch", "torch-bf16", "torch-fp16", "compile"}
    with pytest.raises(BackendError, match=r"ncnn and pnnx.*uvala\[ncnn\]"):
        ready(pocket, "ncnn")


def test_without_a_gpu_there_is_no_tensorrt(pocket):
    with pytest.raises(BackendError, match="for a network on cpu"):
        ready(pocket, "tensorrt")


def test_on_a_gpu_that_rounds_tensorrt_is_not_available(monkeypatch):
    monkeypatch.setattr(tensorrt_module, "has_tensorrt", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    for said, found in (("1", False), ("0", True)):
        monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", said)
        assert ("tensorrt" in available(torch.device("cuda"))) is found


def test_what_computes_on_the_processor_is_not_available_to_a_gpu():
    assert {"onnxruntime", "openvino", "ncnn"}.isdisjoint(available(torch.device("cuda")))
    assert {"onnxruntime", "openvino", "ncnn"} & set(available(torch.device("cpu")))


def test_threads_are_no_more_than_cores(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(accelerate_module, "usable_cores", lambda: 6)
    assert threads_each() == 6
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert threads_each() == 2


def test_on_a_gpu_that_rounds_tensorrt_asks_for_float32_before_it_builds_anything(pocket, monkeypatch):
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    monkeypatch.setattr(tensorrt_module, "has_tensorrt", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    with pytest.raises(BackendError, match="set NVIDIA_TF32_OVERRIDE=0 in the environment"):
        tensorrt_module.prepare_tensorrt(pocket, Wanted(CHANNELS, TILE, 1))


def test_a_converter_that_runs_out_of_time_says_nothing_of_the_network(make, monkeypatch):
    monkeypatch.setattr(ncnn_module, "_PATIENCE", 1e-3)
    with pytest.raises(BackendError, match="pnnx, which does not convert PocketUNet") as caught:
        ready(make("pocket_unet", seed=17), "ncnn")
    assert not isinstance(caught.value, UnsuitableError)


def test_openvino_is_imported_without_what_reports_it():
    code = (
        "import sys; from uvala.backends.openvino import import_openvino; import_openvino();"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


class TestHalfPrecision:
    """16 bits are for those who ask for them."""

    def test_nearly_gives_the_logits_of_float32(self, pocket):
        half = ready(pocket, "torch-bf16")
        assert half(noise(1, CHANNELS, 20, 24)).dtype == torch.float32
        assert 1e-4 < difference(pocket, half, 1, 20, 24) < 0.2

    def test_is_told_of_the_whole_image_as_torch_is(self):
        torch.manual_seed(0)
        options = {"width": 4, "depth": 2, "norm": "instance"}
        model = create_model("unet", in_channels=CHANNELS, num_classes=2, **options).eval()
        image = noise(1, CHANNELS, 150, 190)[0]
        tiled = predict_logits(ready(model, "torch-bf16"), image, tile=64)
        assert compare(predict_logits(model, image)[None], tiled[None]).difference < 0.5

    def test_is_refused_where_the_device_has_none(self, pocket):
        with pytest.raises(BackendError, match="torch-fp16 for a network on cpu"):
            ready(pocket, "torch-fp16")

    def test_is_refused_where_numbers_leave_its_range(self, pocket):
        with torch.no_grad():
            pocket.head.weight *= 1e7
        with pytest.raises(BackendError, match="that 16 bits change by inf standard deviations"):
            prepare_half(torch.float16)(pocket, Wanted(CHANNELS, TILE, 1))


class TestCompiled:
    @pytest.fixture
    def seen(self, monkeypatch):
        """The shapes of images that what was compiled has computed."""
        seen = []

        def compile(network, **options):
            return lambda image: seen.append(tuple(image.shape)) or network(image)

        monkeypatch.setattr(torch, "compile", compile)
        return seen

    def test_only_single_images_of_the_tile_are_compiled_for_at_once(self, pocket, seen):
        compiled = Compiled(pocket, (1, CHANNELS, *TILE))
        for shape in [(1, 64, 64), (2, 64, 64), (1, 64, 60)]:
            assert difference(pocket, compiled, *shape) < 1e-4
        assert seen == [(1, CHANNELS, 64, 64)]

    def test_shapes_that_come_again_and_again_are_compiled_for_too(self, pocket, seen):
        compiled = Compiled(pocket, (1, CHANNELS, *TILE))
        for side in (20, 24, 20, 20, 20):
            compiled(noise(1, CHANNELS, side, side))
        assert seen == 2 * [(1, CHANNELS, 20, 20)]

    def test_but_not_without_end(self, pocket, seen):
        compiled = Compiled(pocket, (1, CHANNELS, *TILE))
        for side in range(20, 40, 2):
            for _ in range(3):
                compiled(noise(1, CHANNELS, side, side))
        assert len(set(seen)) == 3

    def test_its_numbers_are_tried(self, pocket, monkeypatch):
        monkeypatch.setattr(torch, "compile", lambda network, **options: lambda image: network(image) + 1)
        with pytest.raises(UnsuitableError, match="compile, whose logits of PocketUNet are off by"):
            ready(pocket, "compile")

    def test_what_the_compiler_stumbles_over_is_an_error_of_ours(self, pocket, monkeypatch):
        def compile(network, **options):
            def fail(image):
                raise RuntimeError("C++ compile error")

            return fail

        monkeypatch.setattr(torch, "compile", compile)
        with pytest.raises(
            BackendError, match=r"compile, which fails with PocketUNet \(C\+\+ compile error\)"
        ):
            ready(pocket, "compile")

    def test_without_a_compiler_it_is_said_what_to_install(self, pocket, monkeypatch):
        monkeypatch.setattr(compile_module.shutil, "which", lambda name: None)
        with pytest.raises(BackendError, match=r"no C\+\+ compiler; expected one, such as g\+\+"):
            prepare_compiled(pocket, Wanted(CHANNELS, TILE, 1))


def test_networks_of_valid_convolutions_give_as_many_logits_as_with_torch(make):
    model = make("paper_unet", width=4, depth=3, borders="valid")
    fast = ready(model, "onnxruntime")
    for side in (model.smallest, 100):
        assert fast(noise(1, CHANNELS, side, side)).shape[-1] < side
        assert difference(model, fast, 1, side, side) < 1e-4
