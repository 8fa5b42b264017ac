"""Encoders of timm in the form of segmentation_models.pytorch, where that is not timm's own.

https://github.com/qubvel-org/segmentation_models.pytorch, release 0.6: it takes some maps at other places,
and its first EfficientNets (https://github.com/lukemelas/EfficientNet-PyTorch) pad for one size of images.
"""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from uvala.errors import ConfigError

__all__ = ["Sections", "as_smp_has_it", "prune"]

Sections = list[list[str]]
"""Modules of a network by name: those from one map to the next, for each map."""

# side of the images that each EfficientNet was made for (Tan & Le 2019, arXiv:1905.11946)
_SIDES = {
    f"tf_efficientnet_b{size}": side for size, side in enumerate([224, 240, 260, 300, 380, 456, 528, 600])
}
_STEM = ["conv_stem", "bn1"]


def as_smp_has_it(
    net: Any, name: str, sections: Sections | None, options: Mapping[str, Any]
) -> tuple[Sections, dict[int, int]]:
    """Changes timm's network of that name; its sections, and strides whose maps have other channels then.

    options: with which timm made it. Raises ConfigError for a network that has no form of its own there.
    """
    if sections is not None and name.startswith(("efficientnet_", "tf_efficientnet_b")):
        if name in _SIDES:
            _pad_for(net, _SIDES[name])
        if name == "tf_efficientnet_b0":
            # its third map is that of the first block of a stage, not of the last
            *before, third, last = sections
            stage, block = third[-1], f"{third[-1]}.0"
            rest = [f"{stage}.{i}" for i in range(1, len(net.get_submodule(stage)))]
            sections = [*before, [*third[:-1], block], [*rest, *last]]
        first, second, *others = sections
        return [_STEM, [*first[len(_STEM) :], *second], *others], {2: net.conv_stem.out_channels}
    if sections is not None and name.startswith("mobilenetv2_"):
        return _with_head(net, name, sections, options), {32: net.conv_head.out_channels}
    if sections is not None and name.startswith("densenet"):
        return _with_transitions(net, sections), {}
    raise ConfigError(
        found=f"form='smp' with encoder '{name}'",
        expected="an EfficientNet, a MobileNetV2 or a DenseNet; others are there as they are in timm",
        fix="leave form at its default, 'timm'",
    )


def prune(net: nn.Module, sections: Sections) -> None:
    """Deletes what is in none of the sections."""
    used = {name for section in sections for name in section}
    for name, _ in list(net.named_modules()):
        parent, _, child = name.rpartition(".")
        inside = any(f"{name}.".startswith(f"{each}.") for each in used)
        around = any(each.startswith(f"{name}.") for each in used)
        # what is inside of something deleted is gone with it
        if name and not inside and not around and (not parent or _has(net, parent)):
            delattr(net.get_submodule(parent), child)


def _has(net: nn.Module, name: str) -> bool:
    return any(name == each for each, _ in net.named_modules())


def _with_head(net: Any, name: str, sections: Sections, options: Mapping[str, Any]) -> Sections:
    """The coarsest map is that of the last convolution before the classifier."""
    import timm

    head = ["conv_head", "bn2"]
    full = timm.create_model(name, **options)
    for each in head:
        net.add_module(each, getattr(full, each))
    return [*sections[:-1], [*sections[-1], *head]]


def _with_transitions(net: Any, sections: Sections) -> Sections:
    """The maps are what the norms of the transitions give; the coarsest, that of a norm without ReLU."""
    net["features_norm5"].act = nn.Identity()
    changed: Sections = []
    for first, *others in sections:
        if "transition" in first:
            changed[-1].append(f"{first}.norm")
            changed.append([f"{first}.conv", f"{first}.pool", *others])
        else:
            changed.append([first, *others])
    return changed


def _pad_for(net: nn.Module, side: int) -> None:
    """Fixes the padding of each convolution that halves, as if images had that side."""
    for name, module in list(net.named_modules()):
        # timm's has no other mark, and its class is not for import
        if isinstance(module, nn.Conv2d) and type(module).__name__ == "Conv2dSame":
            parent, _, child = name.rpartition(".")
            setattr(net.get_submodule(parent), child, _PaddedConv(module, side))
            side = -(-side // 2)


class _PaddedConv(nn.Module):
    """A convolution with stride 2 that pads more on the right and below, by what a map of some side needs."""

    def __init__(self, conv: nn.Conv2d, side: int) -> None:
        super().__init__()
        self.weight, self.groups, self.out_channels = conv.weight, conv.groups, conv.out_channels
        kernel = conv.kernel_size[0]
        missing = max((-(-side // 2) - 1) * 2 + kernel - side, 0)
        before, behind = missing // 2, missing - missing // 2
        self.frame = (before, behind, before, behind)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, out, H/2, W/2]."""
        return F.conv2d(F.pad(x, self.frame), self.weight, stride=2, groups=self.groups)
