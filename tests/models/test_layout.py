import copy
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from uvala.models.catalog import create_model
from uvala.models.layout import best_order, use_layout

LAYOUTS = ("contiguous", "channels_last", "mixed")

CONVOLUTIONS = {
    "3x3": nn.Conv2d(16, 24, 3, padding=1),
    "no bias": nn.Conv2d(24, 16, 3, bias=False),
    "wide": nn.Conv2d(32, 40, 3, padding=1),
    "dilated": nn.Conv2d(16, 32, 3, dilation=(2, 3), padding=(2, 1)),
    "strided": nn.Conv2d(32, 32, 3, stride=2, padding=1),
    "same": nn.Conv2d(16, 32, 3, padding="same"),
    "mirrored": nn.Conv2d(16, 32, 3, padding=1, padding_mode="reflect"),
    "first": nn.Conv2d(1, 32, 3, padding=1),
    "1x1": nn.Conv2d(64, 64, 1),
    "transposed": nn.ConvTranspose2d(32, 16, 2, stride=2),
    "wide transposed": nn.ConvTranspose2d(64, 96, 2, stride=2),
    "grouped": nn.Conv2d(16, 32, 3, padding=1, groups=4),
}
WIDE = ("wide", "strided", "wide transposed")


@pytest.fixture(autouse=True)
def _any_cpu():
    """The rule of a CPU that mixes most, whatever this one is."""
    with patch("torch.backends.cpu.get_cpu_capability", return_value="AVX2"):
        yield


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def passed(module: nn.Module, image: Tensor) -> tuple[Tensor, ...]:
    """The output, and the gradients of the image and of every parameter."""
    image = image.clone().requires_grad_()
    module.zero_grad()
    output = module(image)
    (output * drawn(*output.shape, seed=1).to(output.dtype)).sum().backward()
    return output.detach(), image.grad, *(parameter.grad for parameter in module.parameters())


def step(model: nn.Module, image: Tensor) -> tuple[Tensor, ...]:
    """The loss of a training step and its gradients."""
    target = (image[:, 0] > 0).long()
    loss = cross_entropy(model(image), target)
    loss.backward()
    return loss.detach(), *(parameter.grad for parameter in model.parameters())


class TestConvolutions:
    """Another order of memory changes no number."""

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("kind", CONVOLUTIONS)
    def test_output_and_gradients_are_those_of_the_plain_convolution(self, kind, layout):
        plain = copy.deepcopy(CONVOLUTIONS[kind]).double()
        ours = use_layout(copy.deepcopy(plain), layout)
        image = drawn(2, plain.in_channels, 13, 10)
        for found, expected in zip(passed(ours, image), passed(plain, image), strict=True):
            assert_close(found, expected, rtol=1e-10, atol=1e-10)

    @pytest.mark.parametrize("layout", ["channels_last", "mixed"])
    @pytest.mark.parametrize("groups", [1, 4])
    def test_layers_with_a_stride_stay_contiguous(self, layout, groups):
        """Their gradients channels last wrote beyond their memory, and a training ended in malloc."""
        ours = use_layout(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=groups), layout)
        image = torch.zeros(2, 4, 12, 12).contiguous(memory_format=torch.channels_last)
        assert ours(image).is_contiguous()

    @pytest.mark.parametrize("kind", CONVOLUTIONS)
    def test_wide_layers_stay_contiguous(self, kind):
        assert best_order(CONVOLUTIONS[kind]) == ("contiguous" if kind in WIDE else "channels_last")

    def test_with_avx512_only_wider_ones_do(self):
        kinds = [nn.Conv2d(64, 256, 3), nn.Conv2d(128, 256, 3), nn.ConvTranspose2d(128, 64, 2)]
        orders = [best_order(each, "AVX512") for each in kinds]
        assert orders == ["channels_last", "contiguous", "contiguous"]

    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("kind", ["first", "3x3", "wide", "transposed"])
    def test_channels_last_holds_for_every_layer(self, kind, training):
        ours = use_layout(copy.deepcopy(CONVOLUTIONS[kind]), "channels_last").train(training)
        output = ours(torch.zeros(2, ours.in_channels, 8, 8))
        assert output.is_contiguous(memory_format=torch.channels_last)

    @pytest.mark.parametrize(("kind", "last"), [("first", True), ("3x3", True), ("wide", False)])
    @pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
    def test_mixed_orders_each_layer_whatever_comes_in(self, kind, last, order):
        ours = use_layout(copy.deepcopy(CONVOLUTIONS[kind]), "mixed")
        output = ours(torch.zeros(2, ours.in_channels, 8, 8).contiguous(memory_format=order))
        assert output.is_contiguous(memory_format=torch.channels_last) == last
        assert output.is_contiguous() == (not last)

    def test_a_frozen_kernel_passes_the_gradient_on(self):
        plain = nn.Conv2d(16, 32, 3).double().requires_grad_(False)
        ours, image = use_layout(copy.deepcopy(plain), "mixed"), drawn(1, 16, 6, 6)
        assert_close(passed(ours, image)[1], passed(plain, image)[1], rtol=1e-10, atol=1e-10)

    def test_grouped_convolutions_are_left_alone(self):
        grouped = nn.Conv2d(16, 32, 3, groups=4)
        assert type(use_layout(grouped, "mixed")) is nn.Conv2d

    @pytest.mark.parametrize("layout", ["channels_last", "mixed"])
    @pytest.mark.parametrize("groups", [1, 4])
    def test_a_stride_is_taken_contiguous(self, layout, groups):
        """Channels last, torch writes beyond the memory of some of these gradients."""
        strided = use_layout(nn.Conv2d(4, 8, 1, stride=2, groups=groups), layout)
        image = torch.zeros(2, 4, 8, 8).contiguous(memory_format=torch.channels_last)
        assert strided(image).is_contiguous()

    def test_the_original_size_may_be_asked_for(self):
        plain = nn.ConvTranspose2d(64, 64, 3, stride=2, padding=1).double()
        ours, image = use_layout(copy.deepcopy(plain), "mixed"), drawn(1, 64, 4, 4)
        found, expected = (module(image, output_size=[8, 8]) for module in (ours, plain))
        assert_close(found, expected, rtol=1e-10, atol=1e-10)

    def test_an_image_without_a_batch_stays_as_it_is(self):
        plain, image = CONVOLUTIONS["3x3"], torch.zeros(16, 5, 5)
        assert torch.equal(use_layout(copy.deepcopy(plain), "channels_last")(image), plain(image))


class TestNetworks:
    """A network keeps everything but its speed."""

    @pytest.mark.parametrize("layout", ["channels_last", "mixed"])
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("unet", {"width": 16, "depth": 3, "fold": 2}),
            ("unet", {"width": 16, "depth": 2, "residual": True, "up": "bilinear", "norm": "group"}),
            ("pytorch_unet", {"width": 16}),
            ("pocket_unet", {"width": 16}),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_training_step_is_that_of_the_plain_network(self, name, options, layout):
        plain = create_model(name, in_channels=1, num_classes=2, **options).double().train()
        ours, image = use_layout(copy.deepcopy(plain), layout), drawn(2, 1, 32, 48)
        for found, expected in zip(step(ours, image), step(plain, image), strict=True):
            assert_close(found, expected, rtol=1e-8, atol=1e-8)
        for found, expected in zip(ours.buffers(), plain.buffers(), strict=True):
            assert_close(found, expected, rtol=1e-8, atol=1e-8)

    @pytest.fixture
    def mixed(self):
        return use_layout(create_model("unet", in_channels=1, num_classes=2, width=16, depth=2), "mixed")

    def test_its_weights_fit_the_plain_network_and_lie_as_they_did(self, mixed):
        plain = create_model("unet", in_channels=1, num_classes=2, width=16, depth=2)
        assert [(name, value.stride()) for name, value in mixed.state_dict().items()] == [
            (name, value.stride()) for name, value in plain.state_dict().items()
        ]
        plain.load_state_dict(mixed.state_dict())

    def test_gradients_lie_as_their_parameters(self, mixed):
        step(mixed, drawn(2, 1, 16, 16).float())
        assert all(each.grad.is_contiguous() for each in mixed.parameters())

    def test_a_copy_learns_for_itself(self, mixed):
        twin = copy.deepcopy(mixed)
        step(twin, drawn(2, 1, 16, 16).float())
        assert all(each.grad is None for each in mixed.parameters())
        assert all(each.grad is not None for each in twin.parameters())

    def test_the_same_step_twice_gives_the_same_bits(self, mixed):
        image = drawn(2, 1, 16, 16).float()
        first = [value.clone() for value in step(mixed, image)]
        mixed.zero_grad()
        assert all(torch.equal(*pair) for pair in zip(first, step(mixed, image), strict=True))

    def test_the_order_may_be_changed_back_and_forth(self, mixed):
        kinds = [type(module) for module in mixed.modules()]
        again = use_layout(use_layout(mixed, "channels_last"), "mixed")
        assert [type(module) for module in again.modules()] == kinds

    def test_checkpointing_computes_the_same(self, mixed):
        image = drawn(2, 1, 16, 16).float()
        saving = copy.deepcopy(mixed).train().use_checkpointing()
        for found, expected in zip(step(saving, image), step(mixed.train(), image), strict=True):
            assert_close(found, expected)

    def test_half_precision_is_that_of_autocast(self, mixed):
        image = drawn(2, 1, 16, 16).float()
        plain = create_model("unet", in_channels=1, num_classes=2, width=16, depth=2)
        plain.load_state_dict(mixed.state_dict())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found, expected = mixed.train()(image), plain.train()(image)
        assert found.dtype == torch.bfloat16
        assert_close(found, expected, rtol=0.05, atol=0.05)

    def test_it_can_be_exported(self, mixed):
        image = drawn(1, 1, 16, 16).float()
        exported = torch.export.export(mixed.eval(), (image,)).module()
        assert_close(exported(image), mixed(image))

    def test_a_compiler_sees_the_plain_network(self, mixed):
        image = drawn(2, 1, 16, 16).float()
        compiled = torch.compile(mixed.train(), backend="eager", fullgraph=True)
        assert_close(compiled(image), mixed(image))

    def test_contiguous_gives_the_plain_network_back(self, mixed):
        plain = create_model("unet", in_channels=1, num_classes=2, width=16, depth=2)
        again = use_layout(mixed, "contiguous")
        assert [type(module) for module in again.modules()] == [type(module) for module in plain.modules()]
