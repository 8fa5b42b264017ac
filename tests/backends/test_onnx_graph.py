"""One ONNX graph says what the network says, at any size."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from uvala.backends.agreement import compare, noise
from uvala.backends.onnx_graph import ragged_size, to_onnx
from uvala.errors import BackendError

CHANNELS = 2


def session(graph: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", ["pocket_unet", "unet", "pytorch_unet", "unet:test_resnet"])
def test_one_graph_is_right_for_all_sizes_and_batches(make, name):
    options = {"decoder_channels": (8, 8, 8, 8, 4)} if ":" in name else {"width": 4}
    model = make(name, **options)
    running = session(to_onnx(model, CHANNELS))
    for shape in [(1, 64, 64), (2, 65, 79), (3, 50, 96), (1, 77, 130)]:
        image = noise(shape[0], CHANNELS, *shape[1:])
        with torch.no_grad():
            expected = model(image)
        (logits,) = running.run(None, {"image": image.numpy()})
        assert compare(expected, torch.from_numpy(logits)).difference < 1e-4, shape


def test_the_size_shown_is_odd_before_each_pooling(ragged):
    sizes = []
    for module in ragged.modules():
        if isinstance(module, nn.MaxPool2d):
            module.register_forward_pre_hook(lambda module, inputs: sizes.extend(inputs[0].shape[-2:]))
    ragged(noise(1, CHANNELS, *ragged_size(ragged)))
    assert len(sizes) == 8
    assert all(size % 2 for size in sizes)


def test_inputs_and_outputs_have_the_names_that_are_asked_for():
    class Scaled(nn.Module):
        def forward(self, image: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
            return image * levels[:, :, None, None]

    more = {"levels": torch.ones(2, CHANNELS)}
    running = session(to_onnx(Scaled(), CHANNELS, input_name="pixels", output_name="maps", more=more))
    assert [each.name for each in running.get_inputs()] == ["pixels", "levels"]
    image, levels = noise(3, CHANNELS, 5, 7).numpy(), np.full((3, CHANNELS), 2, np.float32)
    (maps,) = running.run(["maps"], {"pixels": image, "levels": levels})
    np.testing.assert_array_equal(maps, 2 * image)


def test_a_network_in_training_mode_is_written_as_it_predicts_and_goes_on_training(pocket):
    image = noise(1, CHANNELS, 20, 20)
    with torch.no_grad():
        expected = pocket(image)
    (logits,) = session(to_onnx(pocket.train(), CHANNELS)).run(None, {"image": image.numpy()})
    assert compare(expected, torch.from_numpy(logits)).difference < 1e-4
    assert pocket.training


def test_what_onnx_has_no_word_for_is_an_error():
    class Strange(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(image)

    with pytest.raises(BackendError, match="bessel_j0"):
        to_onnx(Strange(), CHANNELS)
