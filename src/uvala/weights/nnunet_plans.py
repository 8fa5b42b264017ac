"""nnU-Net v2's plans.json and dataset.json: which of our networks they describe.

https://github.com/MIC-DKFZ/nnUNet, documentation/reference/plans-and-configuration.md and dataset-format.md.
A configuration says its network in one of two ways: from version 2.2 on as `architecture`, the arguments of
a class of dynamic-network-architectures; before as sizes alone, the rest being fixed in the code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvala.config import build
from uvala.errors import ConfigError, did_you_mean
from uvala.models.catalog import model_config

__all__ = ["NnUNetTraining", "class_names", "network_from_plans", "read_training"]

Json = Mapping[str, Any]

NETWORKS = {"PlainConvUNet": "plain_conv_unet", "ResidualEncoderUNet": "residual_encoder_unet"}
"""The last part of their class's name -> our network."""

MAX_WIDTH = 512  # of 2D networks, before it stood in the plans
EPSILON = 1e-5  # of the norms, theirs and ours

RENAMED = {
    "features_per_stage": "widths",
    "strides": "strides",
    "kernel_sizes": "kernel_sizes",
    "n_conv_per_stage": "convolutions",
    "n_blocks_per_stage": "blocks",
    "n_conv_per_stage_decoder": "decoder_convolutions",
    "conv_bias": "bias",
    "nonlin_first": "activation_first",
    "deep_supervision": "deep_supervision",
    "stem_channels": "stem_width",
}
"""Their argument -> our option, of those that mean the same."""

ACTIVATIONS: dict[str | None, tuple[str, Json]] = {
    "LeakyReLU": ("leaky_relu", {"negative_slope": 0.01}),
    "ReLU": ("relu", {}),
    "ELU": ("elu", {"alpha": 1.0}),
    "GELU": ("gelu", {"approximate": "none"}),
    "SiLU": ("silu", {}),
}
"""torch's name -> ours, and the only values that its options may have."""


def network_from_plans(
    plans: Json | str | Path,
    dataset_json: Json | str | Path | None = None,
    configuration: str | None = None,
    *,
    in_channels: int | None = None,
    num_classes: int | None = None,
) -> tuple[str, dict[str, Any]]:
    """The name and the options of our network for a plan: `create_model(name, **options)` makes it.

    `from_peer("dna", checkpoint, **options)` gives it the weights of nnU-Net's checkpoint.

    plans: plans.json, its content, or what nnU-Net stores beside the weights of a checkpoint ("init_args",
    which holds everything needed here). dataset_json: the same of dataset.json; where it is not given, the
    file beside plans.json. configuration: "2d" if nothing else is said. in_channels, num_classes: instead of
    what dataset.json says.

    Raises ConfigError for a plan in 3D and for networks that uvala does not have.
    """
    try:
        return _read_plans(plans, dataset_json, configuration, in_channels, num_classes)
    except (TypeError, AttributeError) as error:
        # deep inside a table stands something else than nnU-Net writes there
        raise _unexpected(
            f"plans that cannot be followed ({error})", "the tables that nnU-Net writes"
        ) from None


def _read_plans(
    plans: Json | str | Path,
    dataset_json: Json | str | Path | None,
    configuration: str | None,
    in_channels: int | None,
    num_classes: int | None,
) -> tuple[str, dict[str, Any]]:
    plan, where = _content(plans, "plans.json")
    if "init_args" in plan:
        plan = plan["init_args"]
    if "plans" in plan:
        dataset_json = plan.get("dataset_json") if dataset_json is None else dataset_json
        configuration = configuration or plan.get("configuration")
        plan = plan["plans"]
    settings = _configuration(plan, configuration or "2d", where)
    kind, options = _new_form(settings, where) if "architecture" in settings else _old_form(settings, where)
    if in_channels is None or num_classes is None:
        dataset = _dataset(plans, dataset_json)
        in_channels = in_channels or len(_table(dataset, "channel_names", "modality"))
        num_classes = num_classes or len(class_names(dataset))
    options = {"in_channels": in_channels, "num_classes": num_classes} | options
    config = build(model_config(kind), options, where=where)
    return kind, {name: value for name, value in config.model_dump().items() if name in options}


@dataclass(frozen=True)
class NnUNetTraining:
    """What nnU-Net keeps in a checkpoint beside the weights: the network, its classes, the normalisation."""

    options: Mapping[str, Any]
    names: tuple[str, ...]
    schemes: tuple[str, ...]


def read_training(extras: Json) -> NnUNetTraining | None:
    """What a checkpoint says of its training (`read_checkpoint(...).extras`); None if it is not nnU-Net's.

    ConfigError for a plan in 3D or a network that uvala does not have, and for labels that are regions, each
    with a sigmoid of its own.
    """
    arguments = extras.get("init_args")
    if not isinstance(arguments, Mapping) or not isinstance(arguments.get("dataset_json"), Mapping):
        return None
    dataset = arguments["dataset_json"]
    names = class_names(dataset)
    if any(
        isinstance(value, list | tuple) and len(value) > 1 for value in _table(dataset, "labels").values()
    ):
        raise ConfigError(
            found=f"a network of nnU-Net whose labels are regions ({', '.join(names)})",
            expected="labels that exclude each other, one a pixel",
            fix="use uvala.from_peer, and take the sigmoid of each of its logits",
        )
    if not isinstance(arguments.get("plans"), Mapping):
        return NnUNetTraining({}, names, ())
    settings = _configuration(arguments["plans"], str(arguments.get("configuration") or "2d"), "plans")
    _, options = network_from_plans(extras)
    schemes = settings.get("normalization_schemes") or ()
    return NnUNetTraining(options, names, tuple(str(scheme) for scheme in schemes))


def class_names(dataset_json: Json | str | Path) -> tuple[str, ...]:
    """The names of a network's logits, in their order: labels by their number, or regions without background.

    The label "ignore" has no logits. Where labels are regions (several numbers each), every region is a
    question of its own, answered by a sigmoid, and so there is none for the background.
    """
    dataset, where = _content(dataset_json, "dataset.json")
    labels = _table(dataset, "labels")
    if all(str(name).isdigit() for name in labels):
        labels = {str(name): int(number) for number, name in labels.items()}  # as nnU-Net v1 wrote it
    labels = {name: value for name, value in labels.items() if name != "ignore"}
    if any(isinstance(value, list | tuple) and len(value) > 1 for value in labels.values()):
        return tuple(name for name, value in labels.items() if value not in (0, [0], (0,)))
    try:
        return tuple(sorted(labels, key=lambda name: int(labels[name])))
    except (TypeError, ValueError):
        raise _unexpected(f"labels {dict(labels)} in {where}", "a number for each label") from None


def _content(source: Json | str | Path, name: str) -> tuple[Json, str]:
    """A JSON file's content or what was given, and what to call it."""
    if isinstance(source, Mapping):
        return source, name
    path = Path(source).expanduser()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            found=f"no file {path}", expected=f"a {name} of nnU-Net", fix="check the path"
        ) from None
    except (ValueError, OSError) as error:
        raise _unexpected(f"{path}: {error}", "a JSON file") from None
    if not isinstance(content, Mapping):
        raise _unexpected(f"{path}, which holds a {type(content).__name__}", "names and values")
    return content, str(path)


def _dataset(plans: Json | str | Path, dataset_json: Json | str | Path | None) -> Json:
    if dataset_json is not None:
        return _content(dataset_json, "dataset.json")[0]
    beside = None if isinstance(plans, Mapping) else Path(plans).expanduser().with_name("dataset.json")
    if beside is not None and beside.is_file():
        return _content(beside, "dataset.json")[0]
    raise ConfigError(
        found="plans without their dataset.json",
        expected="the channels of the image and the classes, which plans do not tell",
        fix="pass dataset_json, or in_channels and num_classes",
    )


def _table(dataset: Json, *names: str) -> Json:
    """What stands under the first of these names that is there."""
    found = next((dataset[name] for name in names if isinstance(dataset.get(name), Mapping)), None)
    if not found:
        raise _unexpected(f"dataset.json without {' and '.join(names)}", f"a table '{names[0]}'")
    return found


def _configuration(plan: Json, name: str, where: str) -> dict[str, Any]:
    """The settings of a configuration, with those that it inherits."""
    known = plan.get("configurations")
    if not isinstance(known, Mapping):
        raise _unexpected(f"{where} without configurations", "plans of nnU-Net v2")
    settings: dict[str, Any] = {}
    seen: list[str] = []
    parent: str | None = name
    while parent is not None:
        if parent in seen:
            raise _unexpected(f"{where}: configuration '{parent}' inherits from itself", "an end to it")
        if parent not in known:
            raise ConfigError(
                found=f"configuration '{parent}'",
                expected=f"one of those in {where}",
                fix=did_you_mean(parent, known),
            )
        settings = {**known[parent], **settings}
        seen.append(parent)
        parent = known[parent].get("inherits_from")
    if settings.get("previous_stage"):
        raise _unsupported(f"configuration '{name}', which continues '{settings['previous_stage']}'", where)
    return settings


def _old_form(settings: Json, where: str) -> tuple[str, dict[str, Any]]:
    kind = _network(settings.get("UNet_class_name"), where)
    try:
        counts = settings["n_conv_per_stage_encoder"]
        kernels, strides = settings["conv_kernel_sizes"], settings["pool_op_kernel_sizes"]
        first, most = settings["UNet_base_num_features"], settings.get("unet_max_num_features", MAX_WIDTH)
        decoder_counts = settings["n_conv_per_stage_decoder"]
    except KeyError as error:
        raise _unexpected(
            f"{where} without {error.args[0]}", "a network's sizes in its configuration"
        ) from None
    _require_2d(kernels, where)
    return kind, {
        "widths": [min(first * 2**stage, most) for stage in range(len(kernels))],
        "strides": strides,
        "kernel_sizes": kernels,
        "convolutions" if kind == "plain_conv_unet" else "blocks": counts,
        "decoder_convolutions": decoder_counts,
        # what was fixed in the code
        "bias": True,
        "norm": "instance",
        "affine": True,
        "activation": "leaky_relu",
    }


def _new_form(settings: Json, where: str) -> tuple[str, dict[str, Any]]:
    architecture = settings["architecture"]
    kind = _network(architecture.get("network_class_name"), where)
    arguments = dict(architecture.get("arch_kwargs", {}))
    stages = arguments.pop("n_stages", None)
    _require_2d(arguments.get("kernel_sizes"), where)
    conv = _last_part(arguments.pop("conv_op", "Conv2d"))
    if conv != "Conv2d":
        raise _not_2d(f"{conv} in {where}")
    options: dict[str, Any] = {"bias": False}  # theirs, if nothing is said
    options |= _norm(arguments, where) | _dropout(arguments, where) | _activation(arguments, where)
    options |= _block(arguments, where)
    options |= {
        ours: arguments.pop(theirs) for theirs, ours in RENAMED.items() if arguments.get(theirs) is not None
    }
    if rest := [f"{name}={value!r}" for name, value in arguments.items() if value is not None]:
        raise _unsupported(f"{', '.join(rest)}", where)
    if absent := {"widths", "strides", "kernel_sizes"} - options.keys():
        raise _unexpected(f"{where} without {', '.join(sorted(absent))} of its network", "all three")
    for name in ("widths", "strides"):
        if isinstance(options[name], int):
            options[name] = [options[name]] * int(stages or 1)
    if stages not in (None, len(options["widths"])):
        raise _unexpected(f"{where}: n_stages={stages}, features_per_stage={options['widths']}", "as many")
    return kind, options


def _norm(arguments: dict[str, Any], where: str) -> dict[str, Any]:
    kind, values = _part(arguments, "norm_op")
    if kind is None:
        return {"norm": "none"}
    if kind not in ("InstanceNorm2d", "BatchNorm2d"):
        raise _unsupported(f"norm_op {kind}", where)
    affine = values.pop("affine", kind == "BatchNorm2d")  # torch's own defaults
    values.pop("momentum", None)  # of training alone
    _require(values, {"eps": EPSILON, "track_running_stats": kind == "BatchNorm2d"}, f"norm_op {kind}", where)
    return {"norm": "batch" if kind == "BatchNorm2d" else "instance", "affine": affine}


def _dropout(arguments: dict[str, Any], where: str) -> dict[str, Any]:
    kind, values = _part(arguments, "dropout_op")
    if kind is None:
        return {"dropout": None}
    if kind != "Dropout2d":
        raise _unsupported(f"dropout_op {kind}", where)
    share = values.pop("p", 0.5)
    _require(values, {"inplace": values.get("inplace")}, f"dropout_op {kind}", where)
    return {"dropout": share}


def _activation(arguments: dict[str, Any], where: str) -> dict[str, Any]:
    kind, values = _part(arguments, "nonlin")
    if kind not in ACTIVATIONS:
        raise _unsupported(f"nonlin {kind}", where)
    activation, allowed = ACTIVATIONS[kind]
    _require(values, {**allowed, "inplace": values.get("inplace")}, f"nonlin {kind}", where)
    return {"activation": activation}


def _block(arguments: dict[str, Any], where: str) -> dict[str, Any]:
    kind, _ = _part(arguments, "block")
    inner = arguments.pop("bottleneck_channels", None)
    if kind in (None, "BasicBlockD"):
        return {}
    if kind != "BottleneckD" or inner is None:
        raise _unsupported(f"block {kind} with bottleneck_channels={inner}", where)
    return {"bottleneck_widths": inner}


def _part(arguments: dict[str, Any], name: str) -> tuple[str | None, dict[str, Any]]:
    """The class of a part and the arguments that it gets, both taken out of `arguments`."""
    kind, values = arguments.pop(name, None), arguments.pop(f"{name}_kwargs", None)
    return (None if kind is None else _last_part(kind)), dict(values or {})


def _require(values: Json, allowed: Json, what: str, where: str) -> None:
    for name, value in values.items():
        if name not in allowed or value != allowed[name]:
            raise _unsupported(f"{what} with {name}={value!r}", where)


def _network(name: Any, where: str) -> str:
    kind = _last_part(name or "nothing")
    if kind not in NETWORKS:
        raise _unsupported(f"network class {kind}", where)
    return NETWORKS[kind]


def _last_part(dotted: Any) -> str:
    """The class's name of "torch.nn.modules.conv.Conv2d", or of the class itself."""
    return str(getattr(dotted, "__name__", dotted)).rpartition(".")[2]


def _require_2d(kernel_sizes: Any, where: str) -> None:
    if isinstance(kernel_sizes, list | tuple):
        for size in kernel_sizes:
            if isinstance(size, list | tuple) and len(size) != 2:
                raise _not_2d(f"kernel size {list(size)} in {where}")


def _not_2d(found: str) -> ConfigError:
    return ConfigError(
        found=found, expected="a network in 2D: uvala is 2D", fix="take nnU-Net's configuration '2d'"
    )


def _unsupported(what: str, where: str) -> ConfigError:
    return ConfigError(
        found=f"{what} in {where}",
        expected="PlainConvUNet or ResidualEncoderUNet with the parts that nnU-Net plans",
        fix="build that network with its own package",
    )


def _unexpected(found: str, expected: str) -> ConfigError:
    return ConfigError(found=found, expected=expected, fix="take the file as nnU-Net v2 wrote it")
