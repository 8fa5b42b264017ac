"""UNet++ on any encoder of timm: between encoder and decoder stand nodes that bring the skips nearer.

Zhou et al. (2018), arXiv:1807.10165, in the form of
https://github.com/qubvel-org/segmentation_models.pytorch, release 0.6. The nodes are counted from below: node
(i, j) is the i-th of those that reach the level of the j-th step up, and (0, j) that of the decoder itself.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from uvala.models.blocks import Norm, crop, pad_to_multiple
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing
from uvala.models.encoder_unet import SMALL, Attention, DecoderBlock, DecoderConfig, Interpolation, encoder_of
from uvala.models.encoders import Encoder

__all__ = ["EncoderUNetPP", "EncoderUNetPPConfig", "encoder_unetpp"]


class EncoderUNetPPConfig(DecoderConfig):
    """The options of the family `unetpp:`."""


class EncoderUNetPP(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1: sizes between multiples of `multiple` are padded and cropped inside.

    decoder_channels: after each step up, coarsest first.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_classes: int,
        decoder_channels: Sequence[int],
        norm: Norm,
        attention: Attention,
        interpolation: Interpolation,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.multiple = encoder.multiple
        self.local = encoder.behaviour.measurable
        block = partial(DecoderBlock, norm=norm, attention=attention, interpolation=interpolation)
        below, *skips = reversed(encoder.channels)
        widths = [below]  # of what the nodes of the step before give; the encoder's map is the last of them
        self.steps = nn.ModuleList()
        for step, (skip, width) in enumerate(zip([*skips, 0], decoder_channels, strict=True)):
            node = partial(block, last=step == len(skips))
            # without a map of the encoder at this level there is nothing to bring nearer
            count = len(widths) if skip else 1
            outs = [width, *[skip] * (count - 1)]
            # node i joins the nodes after it of its own step and the encoder's map
            self.steps.append(
                nn.ModuleList(node(widths[i], (count - i) * skip, outs[i]) for i in range(count))
            )
            widths = [*outs, skip] if skip else outs
        self.head = nn.Conv2d(widths[0], num_classes, kernel_size=3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        image, size = pad_to_multiple(image, self.multiple, at_least=self.multiple)  # [B, in, H', W']
        *skips, x = self.encoder(image, self)  # [B, channels[i], H'/2^(i+1), W'/2^(i+1)] each, or None
        below = [x]
        steps: Any = self.steps
        for step, skip in zip(steps, [*reversed(skips), None], strict=True):
            here = [] if skip is None else [skip]
            for i in reversed(range(len(step))):
                # [B, s, 2h, 2w] for each node, of i = 0 [B, decoder_channels[j], 2h, 2w]
                here.insert(0, run(self, partial(_node, step[i]), below[i], *here))
            below = here
        return crop(self.head(below[0]), size)  # [B, num_classes, H, W]


def _node(block: nn.Module, below: Tensor, *beside: Tensor) -> Tensor:
    """[B, b, h, w], [B, s, 2h, 2w] any number of times -> [B, out, 2h, 2w]."""
    result: Tensor = block(None, below, torch.cat(beside, dim=1) if beside else None)
    return result


@register_model(
    name="unetpp:", paper="arXiv:1807.10165", origin="qubvel-org/segmentation_models.pytorch", small=SMALL
)
def encoder_unetpp(config: EncoderUNetPPConfig) -> EncoderUNetPP:
    """UNet++ on any encoder of timm; 26.1 M parameters with resnet34."""
    encoder = encoder_of(config)
    return EncoderUNetPP(
        encoder,
        num_classes=config.num_classes,
        decoder_channels=config.decoder_channels[-len(encoder.channels) :],
        norm=config.decoder_norm,
        attention=config.attention,
        interpolation=config.interpolation,
    )
