"""Encoders of segmentation_models.pytorch: which network of timm each of them is, under which names.

Most of its encoders carry the names of the network as it was published, and so does timm: they differ only
where timm has gathered modules. For two families the published code had names of its own.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import torch

from uvala.errors import WeightsError
from uvala.models.encoders import EncoderForm
from uvala.weights.form import NotThisForm, Shapes
from uvala.weights.smp_timm import Found, TimmFamily, feature_keys

__all__ = ["FAMILIES", "Family"]

PREFIX = "encoder."
_COUNTER = "num_batches_tracked"


def _same(keys: Iterable[str]) -> dict[str, str]:
    return {key: key for key in keys}


@dataclass(frozen=True)
class Family:
    """Encoders with keys of one kind.

    members: their name there -> (timm's name, number of tensors without counters). stem: the key of the
    weights that see the image. form: see `make_encoder`. rename: timm's keys of the whole network, in order,
    to theirs. classifier: beginnings of timm's keys that they do not have. has_center: two convolutions of
    the decoder follow at the lowest level.
    """

    title: str
    members: Mapping[str, tuple[str, int]]
    stem: str
    form: EncoderForm = "timm"
    rename: Callable[[Iterable[str]], dict[str, str]] = _same
    has_center: bool = False
    classifier: tuple[str, ...] = ("fc.", "classifier.", "last_linear.", "head.", "pre_logits.")

    def name_of(self, timm_name: str) -> str:
        """Their name of timm's network. Raises NotThisForm."""
        for theirs, (ours, _) in self.members.items():
            if ours == timm_name:
                return theirs
        raise NotThisForm(f"encoder {timm_name} among {self.title}")

    def whole(self, timm_name: str) -> dict[str, tuple[int, ...]]:
        """Key -> shape of all that their encoder carries, for an image of 3 channels."""
        shapes = _whole(timm_name, self.classifier)
        names = self.rename(shapes)
        return {PREFIX + names[key]: shape for key, shape in shapes.items()}

    def pairs(self, timm_name: str, depth: int) -> list[tuple[str, str]]:
        """Our key of each tensor of an encoder, theirs. Raises NotThisForm."""
        self.name_of(timm_name)
        names = self.rename(_whole(timm_name, self.classifier))
        keys = feature_keys(timm_name, depth, self.form)
        return [
            (f"encoder.{key}", PREFIX + names[_published(key.removeprefix("net."), names)]) for key in keys
        ]

    def unused(self, timm_name: str, depth: int) -> dict[str, tuple[int, ...]]:
        """What their encoder carries beyond the maps of that depth."""
        used = {theirs for _, theirs in self.pairs(timm_name, depth)}
        return {key: shape for key, shape in self.whole(timm_name).items() if key not in used}

    def find(self, shapes: Shapes, depth: int, wanted: str | None) -> Found:
        """The encoder of a checkpoint. wanted: its name, ours or theirs, if it is known.

        Raises KeyError if it is of another family, WeightsError if it is none of this one.
        """
        in_channels = shapes[PREFIX + self.stem][1]
        given = {key: shape for key, shape in shapes.items() if key.startswith(PREFIX)}
        count = sum(not key.endswith(_COUNTER) for key in given)
        for theirs, (ours, tensors) in self.members.items():
            if tensors == count and wanted in (None, ours, theirs) and self._is(ours, given):
                return Found(ours, in_channels)
        raise WeightsError(
            found=f"an encoder with {count} tensors and {PREFIX}{self.stem}"
            + (f", which is not {wanted}" if wanted else ""),
            expected=f"one of {', '.join(self.members)}",
            fix="give encoder=..., the name that it had where it was trained, or leave it out",
        )

    def _is(self, timm_name: str, given: Shapes) -> bool:
        expected = self.whole(timm_name)
        return all(
            expected[key] == shape or key == PREFIX + self.stem
            for key, shape in given.items()
            if key in expected
        ) and all(key in given or key.endswith(_COUNTER) for key in expected)


def _published(key: str, names: Mapping[str, str]) -> str:
    """timm's key of a network as published, of one in its network of maps: features_0 -> features.0."""
    return key if key in names else key.replace("_", ".", 1)


@cache
def _whole(name: str, without: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    import timm

    with torch.device("meta"):
        state = timm.create_model(name).state_dict()
    return {key: tuple(value.shape) for key, value in state.items() if not key.startswith(without)}


def _efficientnet(keys: Iterable[str]) -> dict[str, str]:
    """Names of https://github.com/lukemelas/EfficientNet-PyTorch: blocks numbered through all stages."""
    plain = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    # a block that does not widen has no first convolution and norm, and timm counts from those that it has
    widening = {
        "conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
        "conv_pwl": "_project_conv", "bn3": "_bn2",
    }  # fmt: skip
    narrow = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    squeeze = {"conv_reduce": "_se_reduce", "conv_expand": "_se_expand"}
    keys = list(keys)
    blocks = list(dict.fromkeys(match[0] for key in keys if (match := re.match(r"blocks\.\d+\.\d+\.", key))))
    wide = {block for block in blocks if f"{block}conv_pwl.weight" in keys}
    names = {}
    for key in keys:
        match = re.match(r"blocks\.\d+\.\d+\.", key)
        block = match[0] if match else ""
        rest = key.removeprefix(block)
        if rest.startswith("se."):
            rest = rest.removeprefix("se.")
            table = squeeze
        else:
            table = plain if not block else widening if block in wide else narrow
        part, _, tensor = rest.partition(".")
        number = f"_blocks.{blocks.index(block)}." if block else ""
        names[key] = f"{number}{table[part]}.{tensor}"
    return names


def _mobilenet_v2(keys: Iterable[str]) -> dict[str, str]:
    """Names of torchvision's MobileNetV2: blocks numbered through all stages, their parts numbered too."""
    keys = list(keys)
    blocks = list(dict.fromkeys(match[0] for key in keys if (match := re.match(r"blocks\.\d+\.\d+\.", key))))
    last = len(blocks) + 1
    plain = {
        "conv_stem": "features.0.0", "bn1": "features.0.1",
        "conv_head": f"features.{last}.0", "bn2": f"features.{last}.1",
    }  # fmt: skip
    widening = {
        "conv_pw": "conv.0.0", "bn1": "conv.0.1", "conv_dw": "conv.1.0", "bn2": "conv.1.1",
        "conv_pwl": "conv.2", "bn3": "conv.3",
    }  # fmt: skip
    narrow = {"conv_dw": "conv.0.0", "bn1": "conv.0.1", "conv_pw": "conv.1", "bn2": "conv.2"}
    wide = {block for block in blocks if f"{block}conv_pwl.weight" in keys}
    names = {}
    for key in keys:
        match = re.match(r"blocks\.\d+\.\d+\.", key)
        block = match[0] if match else ""
        part, _, tensor = key.removeprefix(block).partition(".")
        if block:
            table = widening if block in wide else narrow
            names[key] = f"features.{blocks.index(block) + 1}.{table[part]}.{tensor}"
        else:
            names[key] = f"{plain[part]}.{tensor}"
    return names


FAMILIES: tuple[Family | TimmFamily, ...] = (
    Family(
        "ResNet and ResNeXt",
        {
            "resnet18": ("resnet18", 100),
            "resnet34": ("resnet34", 180),
            "resnet50": ("resnet50", 265),
            "resnext50_32x4d": ("resnext50_32x4d", 265),
            "wide_resnet50_2": ("wide_resnet50_2", 265),
            "resnet101": ("resnet101", 520),
            "resnext101_32x4d": ("resnext101_32x4d", 520),
            "resnext101_32x8d": ("resnext101_32x8d", 520),
            "resnext101_32x16d": ("resnext101_32x16d", 520),
            "resnext101_32x32d": ("resnext101_32x32d", 520),
            "wide_resnet101_2": ("wide_resnet101_2", 520),
            "resnet152": ("resnet152", 775),
        },
        "conv1.weight",
    ),
    Family(
        "VGG",
        {
            "vgg11": ("vgg11", 16),
            "vgg11_bn": ("vgg11_bn", 48),
            "vgg13": ("vgg13", 20),
            "vgg13_bn": ("vgg13_bn", 60),
            "vgg16": ("vgg16", 26),
            "vgg16_bn": ("vgg16_bn", 78),
            "vgg19": ("vgg19", 32),
            "vgg19_bn": ("vgg19_bn", 96),
        },
        "features.0.weight",
        has_center=True,
    ),
    Family(
        "DenseNet",
        {
            "densenet121": ("densenet121", 604),
            "densenet161": ("densenet161", 804),
            "densenet169": ("densenet169", 844),
            "densenet201": ("densenet201", 1004),
        },
        "features.conv0.weight",
        form="smp",
    ),
    Family(
        "EfficientNet",
        {
            f"efficientnet-b{size}": (f"tf_efficientnet_b{size}", tensors)
            for size, tensors in enumerate([309, 437, 437, 494, 608, 736, 850, 1035])
        },
        "_conv_stem.weight",
        form="smp",
        rename=_efficientnet,
    ),
    Family(
        "EfficientNet of timm",
        {
            f"timm-efficientnet-{size}": (f"efficientnet_{size}", tensors)
            for size, tensors in [
                *((f"b{size}", n) for size, n in enumerate([309, 437, 437, 494, 608, 736, 850, 1035, 1149])),
                ("l2", 1652),
            ]
        }
        | {
            f"timm-tf_efficientnet_lite{size}": (f"efficientnet_lite{size}", tensors)
            for size, tensors in enumerate([245, 320, 320, 365, 455])
        },
        "conv_stem.weight",
        form="smp",
    ),
    Family(
        "MobileNetV2",
        {"mobilenet_v2": ("mobilenetv2_100", 260)},
        "features.0.0.weight",
        form="smp",
        rename=_mobilenet_v2,
    ),
    Family(
        "SENet",
        {
            "se_resnet50": ("legacy_seresnet50", 329),
            "se_resnext50_32x4d": ("legacy_seresnext50_32x4d", 329),
            "se_resnet101": ("legacy_seresnet101", 652),
            "se_resnext101_32x4d": ("legacy_seresnext101_32x4d", 652),
            "se_resnet152": ("legacy_seresnet152", 975),
            "senet154": ("legacy_senet154", 985),
        },
        "layer0.conv1.weight",
    ),
    TimmFamily(),
)
