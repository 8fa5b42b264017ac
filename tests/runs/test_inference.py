"""What a network's logits mean."""

import numpy as np
import pytest
import torch
from torch import nn

from uvala.data.normalisation import Normalisation
from uvala.runs.card import NetworkCard
from uvala.runs.inference import Use, predict_outputs
from uvala.tiling.config import TileConfig
from uvala.tiling.test_time_config import TestTimeConfig

LOGITS = (0.3, -1.2, 2.0)


class Constant(nn.Module):
    """The same logits at every pixel."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        batch, _, height, width = image.shape
        return self.logits.view(1, -1, 1, 1).expand(batch, -1, height, width)


class Rows(nn.Module):
    """Logits that grow from one row to the next: those of the classes, and twice as large ones beside."""

    def __init__(self, logits: int) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        batch, _, height, width = image.shape
        rows = torch.arange(height, dtype=image.dtype)[:, None].expand(height, width)
        return torch.stack([rows * number for number in range(self.logits)]).expand(batch, -1, -1, -1)


def outputs_of(objects: str, *logits: float, temperature: float = 1.0):
    network = NetworkCard(name="x", in_channels=1, num_classes=2, logits=len(logits), objects=objects, halo=0)
    scale = Normalisation(low=(0.0,), high=(1.0,))
    image = np.zeros((1, 4, 5), np.uint8)
    use = Use(Constant(*logits), network, scale, TileConfig(), torch.device("cpu"), temperature)
    return predict_outputs(use, image)


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


class TestTestTime:
    """Views are averaged once logits have become what they mean."""

    def outputs(self, objects: str, logits: int, test_time: TestTimeConfig | None):
        network = NetworkCard(name="x", in_channels=1, num_classes=2, logits=logits, objects=objects, halo=0)
        image = np.zeros((1, 4, 5), np.uint8)
        scale = Normalisation(low=(0.0,), high=(1.0,))
        tiles, cpu = TileConfig(), torch.device("cpu")
        return predict_outputs(Use(Rows(logits), network, scale, tiles, cpu, 1.0, test_time), image)

    @pytest.mark.parametrize(("objects", "logits"), [("classes", 2), ("borders", 3), ("distance", 3)])
    def test_a_mirrored_view_counts_as_much_as_the_image(self, objects, logits):
        alone = self.outputs(objects, logits, None)
        both = self.outputs(objects, logits, TestTimeConfig(flip_vertical=True))
        for found, one in [
            (both.probabilities, alone.probabilities),
            (both.borders, alone.borders),
            (both.distance, alone.distance),
        ]:
            if one is None:
                assert found is None
            else:
                np.testing.assert_allclose(found, (one + one[..., ::-1, :]) / 2, rtol=0, atol=1e-7)

    def test_by_default_there_is_one_view(self):
        plain, none = self.outputs("classes", 2, None), self.outputs("classes", 2, TestTimeConfig())
        np.testing.assert_array_equal(plain.probabilities, none.probabilities)
        assert plain.probabilities[1, 3, 0] > plain.probabilities[1, 0, 0]


class TestReading:
    def test_an_image_on_disk_is_read_tile_by_tile(self, tmp_path):
        """It may be larger than the memory."""
        image = np.random.default_rng(0).integers(0, 255, (1, 200, 150)).astype(np.uint8)
        np.save(tmp_path / "image.npy", image)
        spied = Spied(np.load(tmp_path / "image.npy", mmap_mode="r"))
        network = NetworkCard(name="x", in_channels=1, num_classes=2, logits=1, halo=2)
        scale, cpu = Normalisation(low=(0.0,), high=(255.0,)), torch.device("cpu")
        tiles = TileConfig(size=64, whole_below=0)
        tiled = predict_outputs(Use(nn.Identity(), network, scale, tiles, cpu), spied)
        whole = predict_outputs(Use(nn.Identity(), network, scale, TileConfig(), cpu), image)
        np.testing.assert_array_equal(tiled.probabilities, whole.probabilities)
        assert max(spied.read) <= 68 * 68

    def test_by_image_the_whole_image_sets_the_scale(self):
        image = np.arange(200 * 150, dtype=np.uint16).reshape(1, 200, 150)
        network = NetworkCard(name="x", in_channels=1, num_classes=2, logits=1, halo=2)
        scale, cpu = Normalisation(by="image"), torch.device("cpu")
        tiles = TileConfig(size=64, whole_below=0)
        tiled = predict_outputs(Use(nn.Identity(), network, scale, tiles, cpu), image)
        whole = predict_outputs(Use(nn.Identity(), network, scale, TileConfig(), cpu), image)
        np.testing.assert_array_equal(tiled.probabilities, whole.probabilities)


class Spied:
    """An image that remembers how many pixels were read of it at a time."""

    def __init__(self, image: np.ndarray) -> None:
        self.image, self.shape = image, image.shape
        self.read: list[int] = []

    def __getitem__(self, part) -> np.ndarray:
        self.read.append(self.image[part].size)
        return self.image[part]
