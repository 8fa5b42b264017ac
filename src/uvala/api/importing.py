"""Another project's checkpoint as a run folder, which everything after training can use; and the way back."""

import io
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

import uvala
from uvala.config import build
from uvala.data.masks import MaskEncoding
from uvala.data.normalisation import Normalisation
from uvala.data.splits import Split
from uvala.errors import ConfigError, StorageError
from uvala.files import held, write_bytes
from uvala.models.catalog import create_model, recipe_of
from uvala.models.facts import measure
from uvala.plan.schema import ModelConfig, Plan, write_plan
from uvala.runs.card import Card, DataCard, NetworkCard, TrainingCard
from uvala.runs.folder import RunFolder, create_run, open_run
from uvala.weights.nnunet_plans import read_training
from uvala.weights.peers import Match, load_match, match_peer, to_peer
from uvala.weights.read import read_checkpoint

__all__ = ["WHITE", "Imported", "export_weights", "import_weights", "read_import"]

WHITE = 255.0
"""The intensity that most projects divide by: what an 8-bit image has at most."""

Scaling = tuple[float, tuple[float, ...], tuple[float, ...]]
"""What becomes 1, and the mean and deviation that are then taken; none: the origin's."""


def import_weights(
    path: str | Path,
    out: str | Path,
    *,
    origin: str = "auto",
    hints: Mapping[str, Any] | None = None,
    classes: Sequence[str] = (),
    white: float = WHITE,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> tuple[RunFolder, Match]:
    """A run folder with the network of another project's checkpoint, and what was recognised.

    path: .safetensors, or a file of torch.save (read without running code of its own). out: a new folder.
    origin, hints: as for `uvala.weights.peers.from_peer`. classes: their names, the background's first.
    white: intensity of the images that their code turned into 1 before its normalisation. mean, std: of that
    normalisation, a number or one for each channel; without them, those of the origin.

    Images are scaled as the origin's own code does by default, and a network that crops its border gets it
    mirrored. Raises WeightsError for a checkpoint that does not fit, ConfigError for the wrong number of
    names, StorageError if the folder is taken.
    """
    if not (math.isfinite(white) and white > 0):
        raise ConfigError(
            found=f"white = {white}", expected="an intensity above 0", fix="leave it out, or mend it"
        )
    run = create_run(Path(out).expanduser())
    with held(run.path):
        try:
            scaling = (white, tuple(mean), tuple(std))
            imported = read_import(Path(path), origin=origin, hints=hints, classes=classes, scaling=scaling)
            _write(run, imported)
            return run, imported.match
        except BaseException:
            # it was new or empty before: nothing is left of an import that came to nothing
            shutil.rmtree(run.path, ignore_errors=True)
            raise


@dataclass(frozen=True, eq=False)
class Imported:
    """A checkpoint of another project as a network of ours. names: its classes, where somebody said them."""

    card: Card
    model: nn.Module
    match: Match
    names: tuple[str, ...]


def read_import(
    path: Path,
    *,
    origin: str = "auto",
    hints: Mapping[str, Any] | None = None,
    classes: Sequence[str] = (),
    scaling: Scaling = (WHITE, (), ()),
) -> Imported:
    """The network of a checkpoint with all that is needed to use it; errors as of `import_weights`."""
    checkpoint = read_checkpoint(path)
    training = read_training(checkpoint.extras)
    told = {"activation": training.options["activation"]} if training and training.options else {}
    match = match_peer(origin, checkpoint.tensors, {**told, **(hints or {})})
    model, options = _for_images(load_match(match, checkpoint.tensors), match)
    in_channels, logits = _channels(match)
    names = classes or (training.names if training and len(training.names) == logits else ())
    encoding = _encoding(max(logits, 2), names, checkpoint.extras.get("mask_values"))
    normalisation, said = _normalisation(match, scaling, training.schemes if training else ())
    facts = measure(model, in_channels)
    card = Card(
        uvala=uvala.__version__,
        torch=torch.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network=NetworkCard(
            name=match.recipe.name,
            options=options,
            in_channels=in_channels,
            num_classes=encoding.num_classes,
            logits=1 if logits == 1 else None,
            parameters=facts.parameters,
            multiply_adds=facts.multiply_adds_512,
            multiple=facts.multiple,
            halo=facts.halo,
        ),
        encoding=encoding,
        normalisation=normalisation,
        data=DataCard(
            channels=in_channels if in_channels in (1, 3) else None,
            imported=f"{match.origin}: {match.form.title}",
            notes=(
                f"weights of {path.name}, a checkpoint of {match.origin} ({match.form.title})",
                *_notes(match, said, checkpoint.outside),
            ),
        ),
        training=TrainingCard(finished=True),
    )
    return Imported(card, model, match, tuple(names))


def _write(run: RunFolder, imported: Imported) -> None:
    card, match = imported.card, imported.match
    network = ModelConfig(name=card.network.name, options=card.network.options)
    plan = Plan(model=network, normalisation=card.normalisation)
    write_plan(run.plan_path, plan, {"model.name": f"the network of {match.origin}'s {match.form.title}"})
    run.write_split(Split(origin=f"the network came from {match.origin} and knows no images"))
    run.write_weights(imported.model.state_dict())
    run.write_card(card)


def _for_images(model: nn.Module, match: Match) -> tuple[nn.Module, dict[str, Any]]:
    """The network as images of any size need it, and its options."""
    options = match.recipe.config.model_dump(exclude={"in_channels", "num_classes"}, mode="json")
    state = model.state_dict()
    if options.get("borders") == "valid":
        # the weights are the same for both; masks are wanted for the whole image
        options["borders"] = "mirror"
        in_channels, logits = _channels(match)
        model = create_model(match.recipe.name, in_channels=in_channels, num_classes=logits, **options)
    model.load_state_dict(state)
    return model.eval(), options


def export_weights(run: str | Path, out: str | Path, *, to: str) -> tuple[int, dict[str, Any]]:
    """Write a run's weights under another project's names.

    Returns how many tensors there are, and those options that the names do not tell and that are other than
    the project has them by default: its network has to be built with them.

    to: an origin of `from_peer`. out: a new file; .safetensors, or else one of torch.save. WeightsError where
    that project has no such network, StorageError if the file is there already or cannot be written.
    """
    out = Path(out).expanduser()
    if out.exists():
        raise StorageError(found=f"{out}, which exists", expected="a new file", fix="choose another --out")
    model = open_run(run).model()
    state = to_peer(to, model)
    if out.suffix == ".safetensors":
        # a tensor under two names is written twice: the format has no references
        write_bytes(out, save({key: tensor.clone() for key, tensor in state.items()}))
    else:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_bytes(out, buffer.getvalue())
    config = recipe_of(model).config
    usual = match_peer(to, state).assumed
    return len(state), {
        name: getattr(config, name) for name, value in usual.items() if getattr(config, name) != value
    }


def _channels(match: Match) -> tuple[int, int]:
    values = match.recipe.config.model_dump()
    if values.get("with_head") is False:
        raise ConfigError(
            found=f"a checkpoint of {match.origin} without an output layer",
            expected="a network that says a class for each pixel",
            fix="use uvala.from_peer for its features, or save the model together with its last layer",
        )
    return int(values["in_channels"]), int(values["num_classes"])


def _encoding(count: int, names: Sequence[str], mask_values: Any) -> MaskEncoding:
    """How masks are written: by the values that the checkpoint carries, else by the classes' numbers."""
    if names and len(names) != count:
        raise ConfigError(
            found=f"{len(names)} class names for a network of {count} classes",
            expected=f"{count} names, the background's first",
            fix="give each class a name, or leave them out",
        )
    usual = ("background", "foreground") if count == 2 else tuple(f"class {k}" for k in range(count))
    values, kind = _mask_values(mask_values, count)
    entries = [{"name": name, "values": [value]} for name, value in zip(names or usual, values, strict=True)]
    return build(MaskEncoding, {"kind": kind, "classes": entries}, where="the classes")


def _mask_values(found: Any, count: int) -> tuple[list[int], str]:
    """Pytorch-UNet stores which grey value, or [red, green, blue], each class has in the masks."""
    values = found if isinstance(found, list | tuple) and len(found) == count else []
    if values and all(isinstance(value, int) and 0 <= value <= 255 for value in values):
        codes, kind = list(values), "values"
    elif values and all(_is_colour(value) for value in values):
        codes, kind = [red << 16 | green << 8 | blue for red, green, blue in values], "colours"
    else:
        codes, kind = [], "values"
    if len(set(codes)) == count:
        return codes, kind
    return list(range(count)), "values"


def _is_colour(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and all(isinstance(each, int) and 0 <= each <= 255 for each in value)
    )


SCHEMES: dict[str, tuple[tuple[float, ...], tuple[float, ...]] | None] = {
    "ZScoreNormalization": None,
    "RGBTo01Normalization": ((0.0,), (1.0,)),
}
"""nnU-Net's name of a normalisation -> what `Form.scale` calls it."""


def _normalisation(match: Match, scaling: Scaling, schemes: Sequence[str]) -> tuple[Normalisation, str]:
    """What makes of intensities just what the origin's own code makes of them, and the same in words."""
    channels = _channels(match)[0]
    white, mean, std = scaling
    scale = match.form.scale
    if schemes and not mean:
        if len(set(schemes)) > 1 or schemes[0] not in SCHEMES:
            raise ConfigError(
                found=f"a network of nnU-Net that normalises by {', '.join(dict.fromkeys(schemes))}",
                expected=f"one of {', '.join(SCHEMES)} for all channels",
                fix="use uvala.from_peer, and normalise its input yourself",
            )
        scale = SCHEMES[schemes[0]]
    if mean or std:
        scale = (mean or (0.0,), std or (1.0,))
    if scale is None:
        settings = Normalisation(by="image", levels="deviation", limit=0.0)
        return settings, "images are normalised by their own mean and deviation"
    means, deviations = (_for_each(values, channels) for values in scale)
    pairs = list(zip(means, deviations, strict=True))
    words = f"images are divided by {white:g}"
    if set(pairs) != {(0.0, 1.0)}:
        told = [", ".join(f"{value:g}" for value in values) for values in (means, deviations)]
        words += f", less {told[0]}, divided by {told[1]}"
    reverse = match.form.blue_first and channels == 3
    if reverse:
        pairs.reverse()
        words += ", with the channels in the order blue, green, red"
    return Normalisation(
        limit=0.0,
        reverse_channels=reverse,
        low=tuple(white * (mean - deviation) for mean, deviation in pairs),
        high=tuple(white * (mean + deviation) for mean, deviation in pairs),
    ), words


def _for_each(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """One number for each channel; ConfigError if there are neither as many nor one."""
    if len(values) == channels:
        return tuple(values)
    if len(values) == 1 or channels == 1:
        return (values[0],) * channels
    raise ConfigError(
        found=f"{len(values)} numbers to normalise {channels} channels by",
        expected=f"{channels}, or one for all",
        fix="give --mean and --std as the network was trained with",
    )


def _notes(match: Match, normalised: str, outside: Sequence[str]) -> list[str]:
    notes = [normalised]
    if outside:
        more = f" and {len(outside) - 3} more" if len(outside) > 3 else ""
        notes.append(f"left out, as no part of the network: {', '.join(outside[:3])}{more}")
    if match.assumed:
        assumed = ", ".join(f"{name} = {value}" for name, value in match.assumed.items())
        notes.append(f"taken as {match.origin} has it by default, since the keys do not tell: {assumed}")
    return [*notes, match.form.note] if match.form.note else notes
