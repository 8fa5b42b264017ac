"""What a network's logits mean."""

import numpy as np
import pytest
import torch
from torch import nn

from uvala.data.normalisation import Normalisation
from uvala.runs.card import NetworkCard
from uvala.runs.inference import predict_outputs
from uvala.tiling.config import TileConfig

LOGITS = (0.3, -1.2, 2.0)


class Constant(nn.Module):
    """The same logits at every pixel."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        batch, _, height, width = image.shape
        return self.logits.view(1, -1, 1, 1).expand(batch, -1, height, width)


def outputs_of(objects: str, *logits: float, temperature: float = 1.0):
    network = NetworkCard(name="x", in_channels=1, num_classes=2, logits=len(logits), objects=objects, halo=0)
    scale = Normalisation(low=(0.0,), high=(1.0,))
    image = np.zeros((1, 4, 5), np.uint8)
    return predict_outputs(
        Constant(*logits), image, scale, network, TileConfig(), torch.device("cpu"), temperature
    )


def softmax(logits) -> np.ndarray:
    exponents = np.exp(np.array(logits))
    return exponents / exponents.sum()


@pytest.mark.parametrize("temperature", [1.0, 2.5])
class TestOutputs:
    def test_of_classes_are_a_softmax(self, temperature):
        found = outputs_of("classes", 0.3, -1.2, temperature=temperature)
        np.testing.assert_allclose(
            found.probabilities[:, 2, 3], softmax(np.array([0.3, -1.2]) / temperature), 1e-6
        )
        assert found.borders is None
        assert found.distance is None

    def test_of_one_logit_are_its_sigmoid(self, temperature):
        found = outputs_of("classes", 0.7, temperature=temperature)
        np.testing.assert_allclose(found.probabilities[1], 1 / (1 + np.exp(-0.7 / temperature)), 1e-6)

    def test_with_borders_the_border_is_a_part_of_the_object(self, temperature):
        found = outputs_of("borders", *LOGITS, temperature=temperature)
        apart = softmax(LOGITS)
        expected = softmax(np.log([apart[0], apart[1] + apart[2]]) / temperature)
        np.testing.assert_allclose(found.probabilities[:, 1, 1], expected, 1e-6)
        np.testing.assert_allclose(found.borders, expected[1] * apart[2] / (apart[1] + apart[2]), 1e-6)

    def test_with_a_distance_the_last_logit_is_no_class_and_has_no_temperature(self, temperature):
        found = outputs_of("distance", *LOGITS, temperature=temperature)
        np.testing.assert_allclose(
            found.probabilities[:, 0, 0], softmax(np.array(LOGITS[:2]) / temperature), 1e-6
        )
        np.testing.assert_allclose(found.distance, 1 / (1 + np.exp(-2.0)), 1e-6)
