"""What holds for every loss of the classes, whichever the kind of classes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from thread_ranks import on_ranks
from uvala.arrays import IGNORE
from uvala.losses.combined import TERMS
from uvala.losses.comparison import Comparison, compare
from uvala.losses.config import LossConfig
from uvala.losses.pixel_mean import Weighing

VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, {}) for name in TERMS},
    "cross_entropy, weighed classes": ("cross_entropy", {"class_weights": (0.5, 1.5, 1.0)}),
    "cross_entropy, hard pixels": ("cross_entropy", {"hard_pixels": 0.3, "hard_pixels_least": 4}),
    "binary_cross_entropy, hard pixels": ("binary_cross_entropy", {"hard_pixels": 0.3}),
    "focal, gamma 0.5": ("focal", {"focal_gamma": 0.5}),
    "focal, weighed classes": ("focal", {"class_weights": (0.5, 1.5, 1.0)}),
    "dice, sample": ("dice", {"dice_over": "sample"}),
    "dice, no background": ("dice", {"dice_background": False}),
    "tversky, focal": ("tversky", {"tversky_gamma": 4 / 3}),
    "tversky, focal, sample": ("tversky", {"tversky_gamma": 3.0, "dice_over": "sample"}),
}

KINDS = ["exclusive", "one against the others", "binary", "multi-label"]


@pytest.fixture(params=list(VARIANTS))
def term(request) -> Callable[[Comparison], Tensor]:
    name, settings = VARIANTS[request.param]
    config = LossConfig(**settings)

    def loss(compared: Comparison) -> Tensor:
        count = max(2, compared.logits.shape[1])  # of one logit: background and foreground
        weighing = Weighing(
            classes=torch.tensor(config.class_weights[:count]) if config.class_weights else None,
            hard_share=config.hard_pixels,
            hard_least=config.hard_pixels_least,
        )
        return TERMS[name](compared, weighing, config)

    return loss


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def batch(
    kind: str, samples: int = 4, size: tuple[int, int] = (7, 6), seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Logits float64 [B, K, H, W] and a target of that kind, of which one row of each sample is ignored."""
    generator = torch.Generator().manual_seed(seed)
    count = 1 if kind == "binary" else 3
    logits = 2 * torch.randn(samples, count, *size, generator=generator, dtype=torch.float64)
    target = torch.randint(0, max(count, 2), (samples, *size), generator=generator)
    if kind == "multi-label":
        target = torch.randint(0, 2, logits.shape, generator=generator).double()
    target[..., 2, :] = IGNORE
    return logits, target


def compared_as(kind: str, logits: Tensor, target: Tensor, **options) -> Comparison:
    return compare(logits, target, exclusive=kind == "exclusive", **options)


def with_gradient(loss: Callable[[Tensor], Tensor], logits: Tensor) -> tuple[Tensor, Tensor]:
    leaf = logits.detach().clone().requires_grad_()
    value = loss(leaf)
    value.backward()
    return value.detach(), leaf.grad


def test_what_is_ignored_changes_nothing(term, kind):
    logits, target = batch(kind)
    other = logits.clone()
    other[..., 2, :] = -50 * other[..., 2, :]
    value, gradient = with_gradient(lambda z: term(compared_as(kind, z, target)), logits)
    assert torch.equal(value, term(compared_as(kind, other, target)))
    assert torch.equal(gradient[..., 2, :], torch.zeros_like(gradient[..., 2, :]))


def test_a_mask_of_known_pixels_ignores_as_the_value_does(term, kind):
    logits, target = batch(kind)
    known = torch.rand(target.shape[0], *target.shape[-2:], generator=torch.Generator().manual_seed(1)) < 0.5
    marked = target.where(known if target.ndim == 3 else known.unsqueeze(1), IGNORE)
    assert torch.equal(
        term(compared_as(kind, logits, target, known=known)), term(compared_as(kind, logits, marked))
    )


def test_nothing_known_costs_nothing_and_has_a_gradient_of_zero(term, kind):
    logits, target = batch(kind)
    nothing = torch.full_like(target, IGNORE)
    value, gradient = with_gradient(lambda z: term(compared_as(kind, z, nothing)), logits)
    assert value == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_the_gradient_is_that_of_finite_differences(term, kind):
    logits, target = batch(kind, samples=2, size=(4, 3))
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: term(compared_as(kind, z, target)), logits)


@pytest.mark.parametrize("classes", [2, 1], ids=["all classes", "one class alone"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_at_its_end_gives_finite_numbers(term, kind, dtype, classes):
    logits, target = batch(kind)
    if classes == 1:  # all others are absent
        target = target.where(target == IGNORE, 0)
    extreme = (6e4 * logits.sign()).to(dtype)
    extreme[0] = extreme[0].abs()  # a sample of which every logit is the largest
    for autocast in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            value, gradient = with_gradient(lambda z: term(compared_as(kind, z, target)), extreme)
        assert value.dtype == torch.float32
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


def test_a_perfect_prediction_costs_nothing_and_less_than_any_other(term, kind):
    logits, target = batch(kind)
    perfect = 40 * (2 * compared_as(kind, logits, target).truth - 1)
    lowest = term(compared_as(kind, perfect, target)).item()
    assert lowest == pytest.approx(0, abs=1e-9)
    assert all(term(compared_as(kind, share * perfect + logits, target)) > lowest for share in (-1, 0, 0.05))


def test_the_order_of_the_samples_does_not_matter(term, kind):
    logits, target = batch(kind)
    order = torch.tensor([2, 0, 3, 1])
    assert_close(
        term(compared_as(kind, logits[order], target[order])),
        term(compared_as(kind, logits, target)),
        rtol=1e-12,
        atol=0,
    )


@pytest.mark.parametrize("count", [2, 4])
def test_a_batch_split_over_ranks_has_the_loss_and_the_gradient_of_the_whole(term, kind, count):
    logits, target = batch(kind)
    target[3] = IGNORE  # a rank with nothing to learn from
    target[2] = target[2].where(target[2] == IGNORE, 0)  # and one without most classes
    whole, gradient = with_gradient(lambda z: term(compared_as(kind, z, target)), logits)

    def of_rank(rank: int, over_ranks: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        part = slice(rank * 4 // count, (rank + 1) * 4 // count)
        return with_gradient(
            lambda z: term(compared_as(kind, z, target[part], over_ranks=over_ranks)), logits[part]
        )

    values, gradients = zip(*on_ranks(count, of_rank), strict=True)
    assert_close(torch.stack(values), whole.expand(count), rtol=1e-12, atol=1e-15)
    # each rank's is that of the sum of all ranks' losses; gradients are averaged over the ranks
    assert_close(torch.cat(gradients) / count, gradient, rtol=1e-10, atol=1e-15)
