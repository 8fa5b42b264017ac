"""An encoder that stays as it is for the first part of a training."""

from torch import nn

from uvala.errors import ConfigError
from uvala.plan.optimiser_config import FreezeConfig

__all__ = ["encoder_of", "freeze", "is_frozen"]


def encoder_of(model: nn.Module) -> nn.Module:
    """The way down of a network; ConfigError if it has none that stands apart."""
    for name in ("encoder", "encoders"):
        part = getattr(model, name, None)
        if isinstance(part, nn.Module):
            return part
    raise ConfigError(
        found=f"freeze.encoder with a {type(model).__name__}, which has no encoder",
        expected="a network whose encoder stands apart, such as unet:resnet34 or vgg16_unet",
        fix="set freeze.encoder=0, or choose another model.name",
    )


def is_frozen(share: float, config: FreezeConfig) -> bool:
    """Whether the encoder is frozen when that share of the training is done."""
    return share < config.encoder


def freeze(encoder: nn.Module, frozen: bool) -> None:
    """Keep the weights of `encoder` from being changed, or set them free.

    Frozen it must also run in eval mode, or its batch norms would go on counting: see `training.step`.
    """
    encoder.requires_grad_(not frozen)
