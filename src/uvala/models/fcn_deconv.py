"""Fully convolutional networks on VGG16 that rise by learned 3x3 deconvolutions instead of scores.

After Long, Shelhamer, Darrell (2015), arXiv:1411.4038, in the form of UNET-ZOO
(https://github.com/Andy-zhujunwen/UNET-ZOO), which many tutorials share. Nothing of VGG16's classifier is
left; whole feature maps go up, not scores, and those of pool4 and pool3 are added to them; the norm comes
after the activation. Its FCN-32s begins at pool4, 1/16 of the size, and leaves the last stage out.
"""

from functools import partial

from pydantic import Field
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import head, repeat_last
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing
from uvala.models.vgg import VGG16, pad_uneven

__all__ = ["DeconvFCN", "DeconvFCNConfig", "fcn8s_deconv", "fcn32s_deconv"]

FINEST = 8  # stride of pool3, the finest map that is added
SMALL = {"width": 8}


class DeconvFCNConfig(Config):
    """The options of the fully convolutional networks with deconvolutions."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(
        64, ge=2, description="channels of the first stage; the last ones have eight times more"
    )


class DeconvFCN(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1. Each pooling drops the last of an odd number of rows; what is then missing
    at the bottom and on the right of the logits repeats their last row and column. Sizes at which the added
    maps would differ, and those below `multiple`, are padded inside.

    stages: of VGG16. skips: how many maps after the deepest are added on the way up.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(self, config: DeconvFCNConfig, *, stages: int, skips: int) -> None:
        super().__init__()
        self.multiple = 2**stages
        self.padded_to = 1  # but for what `step` says
        self.step = FINEST if skips else self.multiple
        self.skips = skips
        self.trunk = VGG16(config.in_channels, config.width, stages=stages, pooled=True)
        # each step up halves the channels, but for the first: VGG16's last two stages are equally wide
        widths = [8 * config.width // 2**step for step in range(stages)]
        inputs = [widths[0], *widths[:-1]]
        self.ups = nn.ModuleList(deconvolution(*each) for each in zip(inputs, widths, strict=True))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.head = head(widths[-1], config.num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        padded, size = pad_uneven(image, self.step, self.multiple)  # [B, in, H', W']
        x, *finer = reversed(self.trunk(padded, partial(run, self)))  # [B, 8w, H'/multiple, W'/multiple]
        for step, (up, norm) in enumerate(zip(self.ups, self.norms, strict=True)):
            skips = finer[step : step + 1] if step < self.skips else []
            x = run(self, partial(_rise, up, norm), x, *skips)  # twice as high and wide
        return repeat_last(self.head(x), size)  # [B, num_classes, H, W]


def _rise(up: nn.Module, norm: nn.Module, x: Tensor, *skips: Tensor) -> Tensor:
    """One step of the way up: [B, c, h, w], [B, out, 2h, 2w] -> [B, out, 2h, 2w]."""
    return norm(sum(skips, up(x)))


def deconvolution(in_channels: int, out_channels: int) -> nn.Sequential:
    """A learned 3x3 step up, and ReLU: [B, in, h, w] -> [B, out, 2h, 2w]."""
    conv = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=3, stride=2, padding=1, output_padding=1)
    # an output pixel sees 9/4 input pixels on average, and the ReLU halves the variance
    nn.init.normal_(conv.weight, std=(2 / (9 / 4 * in_channels)) ** 0.5)
    return nn.Sequential(conv, nn.ReLU(inplace=True))


@register_model(paper="arXiv:1411.4038", origin="Andy-zhujunwen/UNET-ZOO", small=SMALL)
def fcn32s_deconv(config: DeconvFCNConfig) -> DeconvFCN:
    """FCN on VGG16's first four stages, with four 3x3 deconvolutions and no skips; 12 M parameters."""
    return DeconvFCN(config, stages=4, skips=0)


@register_model(paper="arXiv:1411.4038", origin="Andy-zhujunwen/UNET-ZOO", small=SMALL)
def fcn8s_deconv(config: DeconvFCNConfig) -> DeconvFCN:
    """FCN on VGG16 with five 3x3 deconvolutions, to which pool4 and pool3 are added; 19 M parameters."""
    return DeconvFCN(config, stages=5, skips=2)
