"""The paper's FCNs, layer by layer against the arithmetic of their published prototxt."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from uvala.models.catalog import create_model
from uvala.models.facts import measure
from uvala.models.fcn_caffe import BilinearUp, bilinear_kernel

NAMES = ["fcn32s_caffe", "fcn16s_caffe", "fcn8s_caffe"]


def make(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, in_channels=3, num_classes=2, width=2, fc_width=4, **options).eval()


class TestKernel:
    """Bilinear weights, as the filler of Caffe computes them."""

    def test_of_factor_2_is_1_3_3_1(self):
        row = torch.tensor([1.0, 3, 3, 1]) / 4
        assert torch.equal(bilinear_kernel(1, 2)[0, 0], row[:, None] * row)

    @pytest.mark.parametrize("factor", [2, 8, 16, 32])
    def test_is_the_formula_of_caffe(self, factor):
        size = 2 * factor
        centre = (2 * factor - 1 - factor % 2) / (2 * factor)
        row = [1 - abs(x / factor - centre) for x in range(size)]
        expected = torch.tensor([[a * b for a in row] for b in row])
        torch.testing.assert_close(bilinear_kernel(1, factor)[0, 0], expected)

    def test_leads_from_each_channel_to_itself(self):
        kernel = bilinear_kernel(3, 2)
        assert kernel.shape == (3, 3, 4, 4)
        assert [(i, j) for i in range(3) for j in range(3) if kernel[i, j].any()] == [(0, 0), (1, 1), (2, 2)]

    def test_an_impulse_becomes_the_kernel(self):
        impulse = torch.zeros(1, 1, 5, 5)
        impulse[..., 2, 2] = 1
        result = BilinearUp(1, 8)(impulse)[0, 0]
        assert torch.equal(result[16:32, 16:32], bilinear_kernel(1, 8)[0, 0])
        assert result.count_nonzero() == 16 * 16

    @pytest.mark.parametrize("factor", [2, 8, 16, 32])
    def test_inside_it_is_bilinear_interpolation(self, factor):
        image = torch.randn(1, 2, 4, 6)
        up = BilinearUp(2, factor)(image)
        assert up.shape == (1, 2, factor * 5, factor * 7)
        expected = F.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)
        half, inside = factor // 2, slice(factor // 2, -(factor // 2))
        up = up[..., half:-half, half:-half]
        torch.testing.assert_close(up[..., inside, inside], expected[..., inside, inside])


class TestSizes:
    """Pooling rounds up; 7x7 without padding takes 6 pixels; a step up by f makes f * (n + 1) pixels of n."""

    # conv1, pool1 to pool5, score_fr, upscore2, upscore_pool4, upscore8
    @pytest.mark.parametrize(
        ("size", "expected"),
        [
            (1, [199, 100, 50, 25, 13, 7, 1, 4, 10, 88]),
            (100, [298, 149, 75, 38, 19, 10, 4, 10, 22, 184]),
            (500, [698, 349, 175, 88, 44, 22, 16, 34, 70, 568]),
        ],
    )
    def test_of_each_layer_of_fcn8s_are_those_of_the_prototxt(self, size, expected):
        model, found = make("fcn8s_caffe"), []

        def note(module, inputs, output):
            found.append(output.shape[-1])

        trunk = model.trunk.stages
        for layer in [trunk[0][0], *trunk, model.classify, *model.ups, model.enlarge]:
            layer.register_forward_hook(note)
        with torch.no_grad():
            assert model(torch.randn(1, 3, 8, size)).shape == (1, 2, 8, size)
        assert found == expected


class Places(nn.Module):
    """In place of scores: for each pixel of a map, in which column of the image its middle lies.

    border: pixels on each side that have no score.
    """

    def __init__(self, stride: int, border: int, *, silent: bool) -> None:
        super().__init__()
        self.stride, self.border, self.silent = stride, border, silent

    def forward(self, x):
        batch, _, height, width = x.shape
        # the first square that is pooled begins at column -99; pixels are counted by their middles
        columns = -99 + self.stride * (torch.arange(width) + 0.5) - 0.5
        columns = columns[self.border : width - self.border] * (not self.silent)
        return columns.expand(batch, 2, height - 2 * self.border, -1)


class TestAlignment:
    """The crops put each map back to its place in the image."""

    @pytest.mark.parametrize(
        ("name", "path"),
        [(name, path) for skips, name in enumerate(NAMES) for path in range(skips + 1)],
    )
    def test_a_map_that_says_where_it_is_says_so_in_the_logits(self, name, path):
        model = make(name)
        model.classify = Places(32, 3, silent=path != 0)
        for index in range(len(model.scores)):
            model.scores[index] = Places(16 // 2**index, 0, silent=path != index + 1)
        with torch.no_grad():
            row = model(torch.zeros(1, 3, 200, 330))[0, 0, 100]
        inside = slice(32, -64)  # at the border of the image a step up falls off towards 0
        torch.testing.assert_close(row[inside], torch.arange(330.0)[inside], rtol=0, atol=1e-3)

    @pytest.mark.parametrize("name", NAMES)
    def test_without_weights_the_biases_of_all_scores_add_up(self, name):
        model = make(name)
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
        biases = [model.classify[-1].bias, *(score.bias for score in model.scores)]
        for power, bias in enumerate(biases):
            nn.init.constant_(bias, 10.0**power)
        with torch.no_grad():
            middle = model(torch.randn(1, 3, 96, 96))[..., 40:56, 40:56]
        torch.testing.assert_close(middle, torch.full_like(middle, sum(10.0**k for k in range(len(biases)))))


class TestWeights:
    """What is learned, and what is scaled."""

    @pytest.mark.parametrize("name", NAMES)
    def test_steps_up_are_saved_but_not_learned(self, name):
        model = make(name)
        kernels = {key for key in model.state_dict() if key.startswith(("ups", "enlarge"))}
        assert len(kernels) == len(model.ups) + 1
        assert not kernels & dict(model.named_parameters()).keys()

    def test_at_once_scales_pool4_and_pool3(self):
        scaled, plain = make("fcn8s_caffe", at_once=True), make("fcn8s_caffe")
        image = torch.randn(1, 3, 40, 50)
        with torch.no_grad():
            assert not torch.equal(scaled(image), plain(image))
            plain.scores[0].weight *= 0.01
            plain.scores[1].weight *= 0.0001
            torch.testing.assert_close(scaled(image), plain(image))


@pytest.mark.parametrize("name", NAMES)
def test_tiles_at_multiples_of_32_are_exact_though_the_poolings_begin_at_minus_99(name):
    model = make(name).double()
    facts = measure(model, 3)
    halo = -(-facts.halo // 32) * 32
    assert facts.multiple == 32
    start = halo + 64
    image = torch.randn(1, 3, 40, start + 32 + halo + 45, dtype=torch.float64)
    with torch.no_grad():
        whole = model(image)
        inner = model(image[..., start - halo : start + 32 + halo])[..., halo : halo + 32]
        last = model(image[..., start - halo :])[..., halo:]
        shifted = model(image[..., start - halo + 1 : start + 32 + halo + 1])[..., halo - 1 : halo + 31]
    close = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(inner, whole[..., start : start + 32], **close)
    torch.testing.assert_close(last, whole[..., start:], **close)
    assert (shifted - whole[..., start : start + 32]).abs().max() > 1e-6
