"""What every registered network promises. A new one is tested by being registered."""

import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.export import Dim, export

from members import small_member
from uvala.arrays import Size
from uvala.errors import ConfigError
from uvala.models.catalog import create_model, model_config, model_names
from uvala.models.facts import NetworkFacts, measure
from uvala.tiling.config import SMALLEST_TILE, TileConfig
from uvala.tiling.geometry import plan_tiles
from uvala.tiling.run import predict_probabilities
from uvala.tiling.use import TiledUse

CHANNELS, CLASSES = 2, 3

pytestmark = pytest.mark.parametrize("name", model_names())


def make(name: str, seed: int = 0) -> nn.Module:
    """A small member of the family."""
    member, options = small_member(name)
    torch.manual_seed(seed)
    return create_model(member, in_channels=CHANNELS, num_classes=CLASSES, **options)


def loss(model: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Of the logits of training mode, of which there may be several."""
    outputs = model(image)
    several = outputs if isinstance(outputs, list) else [outputs]
    return torch.stack([logits.square().mean() for logits in several]).sum()


def require_the_same(actual: torch.Tensor, expected: torch.Tensor) -> None:
    """But for a twenty-thousandth of the logits' deviation, by which sums in another order differ."""
    torch.testing.assert_close(actual, expected, rtol=0, atol=5e-5 * expected.std().item())


def images(height: int, width: int, count: int = 2) -> torch.Tensor:
    """[count, CHANNELS, height, width]"""
    return torch.randn(count, CHANNELS, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(1, 1), (1, 100), (17, 31), (64, 64), (65, 64), (333, 17)], ids=str)
def test_logits_are_as_large_as_the_image(name, size):
    with torch.no_grad():
        logits = make(name).eval()(images(*size))
    assert logits.shape == (2, CLASSES, *size)
    assert logits.isfinite().all()


def test_padding_changes_nothing_that_a_multiple_would_see(name):
    model = make(name).eval()
    if getattr(model, "padded_to", model.multiple) != model.multiple:
        pytest.skip("takes other sizes as they are, as its origin does")
    image = images(2 * model.multiple, 3 * model.multiple)
    cut = getattr(model, "slack", 0) + 1  # the first size that is padded
    image[..., -cut:] = image[..., -cut - 1 : -cut]  # its last columns are what padding would repeat
    with torch.no_grad():
        torch.testing.assert_close(model(image[..., :-cut]), model(image)[..., :-cut], rtol=0, atol=1e-6)


def test_every_parameter_gets_a_finite_gradient(name):
    model = make(name).train()
    loss(model, images(70, 66)).backward()
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters()
    )


def test_gradient_of_the_logits_reaches_the_image(name):
    image = images(64, 64).requires_grad_()
    loss(make(name).train(), image).backward()
    assert (image.grad.abs().amax(dim=(2, 3)) > 0).all()


def test_training_mode_gives_the_logits_that_its_loss_weights_are_for(name):
    model = make(name).train()
    outputs, weights = model(images(70, 66)), getattr(model, "loss_weights", None)
    if weights is None:
        assert outputs.shape == (2, CLASSES, 70, 66)
    else:
        assert [logits.shape[:2] for logits in outputs] == [(2, CLASSES)] * len(weights)
        assert sum(weights) == pytest.approx(1)


def test_same_seed_gives_the_same_network(name):
    first, second, other = make(name, 1).eval(), make(name, 1).eval(), make(name, 2).eval()
    image = images(48, 32)
    with torch.no_grad():
        assert torch.equal(first(image), second(image))
        assert not torch.equal(first(image), other(image))


def test_weights_survive_safetensors(name):
    model, other = make(name, 1).eval(), make(name, 2).eval()
    other.load_state_dict(load(save(model.state_dict())), strict=True)
    with torch.no_grad():
        assert torch.equal(other(images(48, 32)), model(images(48, 32)))


def test_eval_mode_gives_each_image_of_a_batch_the_same_as_alone(name):
    model = make(name).eval()
    batch = images(64, 48, count=3)
    with torch.no_grad():
        alone = torch.cat([model(image[None]) for image in batch])
        require_the_same(model(batch), alone)


def test_channels_last_gives_the_same_numbers(name):
    model, image = make(name).eval(), images(50, 64)
    with torch.no_grad():
        expected = model(image)
        actual = model.to(memory_format=torch.channels_last)(image.to(memory_format=torch.channels_last))
    require_the_same(actual, expected)


def test_autocast_gives_nearly_the_same_logits(name):
    model, image = make(name).eval(), images(64, 64)
    with torch.no_grad():
        expected = model(image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(image)
    assert logits.dtype == torch.bfloat16
    off = (logits.float() - expected).abs() / expected.std()
    assert off.mean() < 0.03
    assert off.max() < 0.4


def test_compiles_to_one_graph(name):
    torch.compiler.reset()  # networks of one class share a forward, of which torch keeps eight versions
    model, image = make(name).eval(), images(50, 64)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(image), model(image))


def test_exported_program_takes_other_multiples(name):
    model = make(name).eval()
    multiple = model.multiple
    sizes = {0: Dim("batch", max=16), 2: multiple * Dim("rows", max=64), 3: multiple * Dim("columns", max=64)}
    program = export(model, (images(3 * multiple, 4 * multiple),), dynamic_shapes=(sizes,))
    other = images(2 * multiple, 5 * multiple, count=3)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(other), model(other))


def test_exported_program_keeps_the_padding_of_its_size(name):
    model, image = make(name).eval(), images(33, 51)
    with torch.no_grad():
        torch.testing.assert_close(export(model, (image,)).module()(image), model(image))


def test_tiles_with_the_measured_context_give_the_numbers_of_the_whole_image(name):
    model = make(name)
    facts = measure(model, CHANNELS)
    assert facts.parameters == sum(weights.numel() for weights in model.parameters())
    if facts.halo is None:
        pytest.skip("no tile is exact")
    model, size = loud(model.double()), awkward(facts, facts.halo)
    image = images(*size, count=1)[0].double()
    whole, tiled = (
        predicted(model, facts, image, whole_below) for whole_below in (size.height * size.width, 0)
    )
    assert whole.std() > 0.05
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-6)


def loud(model: nn.Module) -> nn.Module:
    """The network in eval mode with norms that make small changes grow, and no longer near-zero logits."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of the one batch below
    with torch.no_grad():
        model.train()(images(64, 64).double())
        spread = model.eval()(images(64, 64).double()).std()
    model.register_forward_hook(lambda module, inputs, logits: logits / spread)
    return model


def awkward(facts: NetworkFacts, halo: int) -> Size:
    """A size between multiples that takes two of the smallest tiles; a strip, which is the cheapest."""
    multiple = facts.multiple
    height = 3 * multiple + 1
    for width in range(5 * multiple - 1, 10**5, multiple):
        if len(plan_tiles(Size(height, width), SMALLEST_TILE, halo, multiple)) > 1:
            return Size(height, width)
    raise AssertionError("a strip of any length is one tile")


def predicted(model: nn.Module, facts: NetworkFacts, image: torch.Tensor, whole_below: int) -> torch.Tensor:
    """The probabilities, in one piece if the image has at most so many pixels."""
    use = TiledUse(
        model,
        device=torch.device("cpu"),
        halo=facts.halo,
        multiple=facts.multiple,
        tiles=TileConfig(size=SMALLEST_TILE, whole_below=whole_below, statistics=facts.statistics),
    )
    return predict_probabilities(use, image)


def test_mistyped_option_is_answered_with_the_right_one(name):
    option = sorted(set(model_config(name).model_fields) - {"in_channels", "num_classes"})[0]
    with pytest.raises(ConfigError, match=f"did you mean '{option}'"):
        create_model(name, in_channels=3, num_classes=2, **{option + "s": 1})


@pytest.mark.parametrize("wrong", [{"in_channels": 0}, {"num_classes": 0}, {"in_channels": "three"}], ids=str)
def test_impossible_channels_are_refused(name, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        create_model(name, **{"in_channels": 3, "num_classes": 2, **wrong})
