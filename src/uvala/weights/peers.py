"""Networks of other projects: their checkpoints in, ours out, and the way back."""

import pkgutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

import uvala.weights.origins
from uvala.config import Config, build
from uvala.errors import UnknownNameError, UvalaError, WeightsError, did_you_mean
from uvala.models.catalog import Recipe, create_model, model_config, recipe_of, without_pretrained
from uvala.weights.form import Form, NotThisForm, Options, Shapes, Translation, neutral, translate
from uvala.weights.read import unwrap

__all__ = ["Match", "forms_of", "from_peer", "list_origins", "match_peer", "to_peer"]

_MOST_KEYS = 4  # of each kind in a message


@dataclass(frozen=True)
class Match:
    """A checkpoint that was recognised: of which origin and form, and the network of ours that it fits.

    told: options that were given, not found.
    """

    origin: str
    form: Form
    recipe: Recipe
    translation: Translation = field(repr=False)
    told: Collection[str] = ()

    @property
    def is_usual(self) -> bool:
        """Whether it is what the origin builds by default, as far as that tells it from others."""
        return all(getattr(self.recipe.config, name) == value for name, value in self.form.usual.items())

    @property
    def assumed(self) -> dict[str, Any]:
        """Options that the keys do not tell, taken as the origin has them by default."""
        names = [name for name in self.form.assumes if name not in self.told]
        return {name: getattr(self.recipe.config, name) for name in names}


def list_origins() -> list[str]:
    """The names that `from_peer` takes as origin."""
    return sorted(_origins())


def from_peer(origin: str, state_dict: Mapping[str, Any], /, **hints: Any) -> nn.Module:
    """Our network with the weights of another project's checkpoint, float32 on the CPU, in eval mode.

    origin: one of `list_origins()`, or "auto". state_dict: as that project saved it; wrappers such as
    {"model": ...}, prefixes such as "module." and entries that are no tensors are understood. hints: options
    of our network that keys and shapes cannot tell, by our name or that of the project's own constructor;
    where one is needed, the error asks for it by name.

    The network gives the logits that the origin's gives (before its sigmoid or softmax, if it ends in one).
    Tensors that the origin's network carries and never uses are kept beside it, for `to_peer`.

    Raises UnknownNameError for an unknown origin, WeightsError for a checkpoint that does not fit.
    """
    tensors = unwrap(state_dict).tensors
    return load_match(match_peer(origin, tensors, hints), tensors)


def to_peer(origin: str, model: nn.Module) -> dict[str, Tensor]:
    """The weights of `model` under the keys of another project, which its own code loads strictly.

    model: as `create_model`, `from_peer` or a run gives it. What the origin's network carries and never uses
    is as it came, or zeros. The tensors share the model's memory. What the keys cannot tell (`assumes` of the
    form) has to be given to the origin's constructor as it is in `model`.

    Raises WeightsError where the origin has no such network.
    """
    recipe = recipe_of(model)
    reasons = []
    # of forms with the same network: that in which it came
    for form in sorted(forms_of(origin), key=lambda form: form.title != vars(model).get("form_of_peer")):
        if form.model != _family(recipe.name):
            continue
        try:
            translation = translate(
                form, recipe.config, model, _shapes(vars(model).get("unused_of_peer", {}))
            )
            state = _renamed(model, translation)
            options = form.read(_shapes(state), recipe.config.model_dump())
            again = build(model_config(recipe.name), options, where=form.title)
        except (KeyError, NotThisForm, UvalaError) as error:
            reasons.append(f"{form.title}: {error}")
            continue
        fixed = form.read(_shapes(state), {}) if form.fixed else {}
        differ = _differences(recipe, again, form)
        differ += [f"{name}={options[name]}" for name in form.fixed if options[name] != fixed[name]]
        if not differ:
            return state
        reasons.append(f"{form.title} has no {', '.join(differ)}")
    known = ", ".join(sorted({form.model for form in forms_of(origin)}))
    raise WeightsError(
        found=f"{recipe.name}" + (f" ({'; '.join(reasons)})" if reasons else ""),
        expected=f"a network that {origin} has: {known}",
        fix="choose the origin that the network came from, or keep uvala's own keys (model.state_dict())",
    )


def match_peer(origin: str, tensors: Mapping[str, Tensor], hints: Mapping[str, Any] | None = None) -> Match:
    """Which form of `origin` ("auto": of any) has just these keys and shapes; see `from_peer`."""
    shapes, hints = _shapes(tensors), without_pretrained(hints or {})
    origins = list_origins() if origin == "auto" else [origin]
    matches, failures = [], []
    for name in origins:
        for form in forms_of(name):
            try:
                matches.append(_match(name, form, shapes, hints))
            except _Misfit as misfit:
                failures.append(misfit)
    if not matches:
        raise _explain(origin, shapes, failures)
    # two projects have one network under the same keys; what each builds by default tells them apart
    matches.sort(key=lambda match: not match.is_usual)
    distinct = {(match.recipe.name, match.recipe.config.model_dump_json()) for match in matches}
    if len(distinct) > 1:
        raise WeightsError(
            found=f"keys that fit {', '.join(f'{each.origin} ({each.form.title})' for each in matches)}",
            expected="keys of one of them",
            fix=f"say which: --from {matches[0].origin}",
        )
    return matches[0]


def load_match(match: Match, tensors: Mapping[str, Tensor]) -> nn.Module:
    """The network of a match, with its weights."""
    with torch.random.fork_rng(devices=[]):  # the weights that it draws are not kept
        model = _create(match.recipe.name, match.recipe.config.model_dump())
    state = {ours: _tensor(theirs, tensors) for ours, theirs in match.translation.keys.items()}
    for ours, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not state[ours].is_floating_point():
            raise WeightsError(
                found=f"{match.translation.keys[ours][0]} of {str(state[ours].dtype).removeprefix('torch.')}",
                expected="weights of float32, float16, bfloat16 or float64",
                fix="export the network before it is quantised",
            )
    if broken := [
        theirs[0] for ours, theirs in match.translation.keys.items() if not _is_finite(state[ours])
    ]:
        raise WeightsError(
            found=f"{', '.join(broken[:_MOST_KEYS])} with numbers that are NaN or infinite",
            expected="finite weights",
            fix="take an earlier checkpoint, from before its training diverged",
        )
    model.load_state_dict(state)
    vars(model)["form_of_peer"] = match.form.title
    vars(model)["unused_of_peer"] = _Unused(
        {key: tensors[key] for key in match.translation.unused if key in tensors}
    )
    return model.eval()


class _Unused(dict[str, Tensor]):
    """Tensors that nobody computes with; a copy of the network need not copy them, and they can be large."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Unused":
        return self


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _tensor(names: tuple[str, ...], tensors: Mapping[str, Tensor]) -> Tensor:
    """The tensor that a checkpoint has under one or more of these names."""
    there = [name for name in names if name in tensors]
    if not there:
        return torch.zeros((), dtype=torch.long)  # num_batches_tracked, which torch 0.4 did not have yet
    first = tensors[there[0]]
    for name in there[1:]:
        if first.dtype != tensors[name].dtype or not torch.equal(first, tensors[name]):
            raise WeightsError(
                found=f"{there[0]} and {name}, which differ",
                expected="the same numbers: in the network that was saved they are one tensor",
                fix="copy or export the checkpoint again; it is damaged, or was put together from two",
            )
    return first


class _Misfit(Exception):
    """A form that a checkpoint is not of: how many of its keys it does explain, and what is wrong."""

    def __init__(self, form: Form, known: int, problems: list[str], error: UvalaError | None = None) -> None:
        super().__init__(form.title)
        self.form, self.known, self.problems, self.error = form, known, problems, error
        self.fix = ""


def _match(origin: str, form: Form, shapes: Shapes, hints: Options) -> Match:
    hints = {form.arguments.get(name, name): value for name, value in hints.items()}
    try:
        read = form.read(shapes, hints)
        # as `read` has it: a hint may be the origin's name of an encoder
        options = {**read, **hints, **{name: read[name] for name in ("encoder",) if name in read}}
        name = form.model + str(options["encoder"]) if form.model.endswith(":") else form.model
        with torch.device("meta"):
            model = _create(name, options)
        recipe = recipe_of(model)
        translation = translate(form, recipe.config, model, shapes)
    except (KeyError, NotThisForm) as error:
        raise _Misfit(form, 0, [f"no {error.args[0]}" if error.args else "other keys"]) from None
    except (IndexError, ValueError):
        # `read` took a tensor of other dimensions for one that it knows
        raise _Misfit(form, 0, ["tensors of other dimensions"]) from None
    except UvalaError as error:
        raise _Misfit(form, 0, [error.found], error) from None
    expected = dict(translation.unused) | {
        their: tuple(tensor.shape)
        for ours, tensor in model.state_dict().items()
        for their in translation.keys[ours]
    }
    missing = [
        theirs[0]
        for theirs in translation.keys.values()
        if not any(their in shapes for their in theirs) and not theirs[0].endswith("num_batches_tracked")
    ]
    unknown = [key for key in shapes if key not in expected]
    others = [
        f"{key} is {list(shapes[key])}, not {list(expected[key])}"
        for key in expected
        if key in shapes and shapes[key] != expected[key]
    ]
    if missing or unknown or others:
        problems = _few(missing, "missing") + _few(unknown, "unknown") + _few(others, "of another shape")
        misfit = _Misfit(form, len(shapes) - len(unknown) - len(others) - len(missing), problems)
        if unknown and not missing and not others:
            misfit.fix = "leave those entries out of the file, if the network does without them"
        raise misfit
    return Match(origin, form, recipe, translation, told=tuple(hints))


def _explain(origin: str, shapes: Shapes, failures: list[_Misfit]) -> UvalaError:
    errors = [misfit.error for misfit in failures if misfit.error is not None]
    nearest = max(failures, key=lambda misfit: misfit.known)
    if errors and not nearest.known:
        return errors[0]  # a hint that is needed, or one that no network takes
    if origin == "auto" and nearest.known < len(shapes) / 2:
        sample = ", ".join(list(shapes)[:_MOST_KEYS])
        return WeightsError(
            found=f"{len(shapes)} tensors with names that no known project uses ({sample}, ...)",
            expected=f"a checkpoint of {', '.join(list_origins())}",
            fix="name its origin with --from, to hear what does not fit",
        )
    return WeightsError(
        found=f"a checkpoint of {len(shapes)} tensors that is no {nearest.form.title}: "
        + "; ".join(nearest.problems),
        expected=f"the keys and shapes of a network of {'a known project' if origin == 'auto' else origin}",
        fix=nearest.fix
        or ("" if origin == "auto" else "try --from auto, or ")
        + "name what the keys do not tell (hints), if the network is a variant",
    )


def _few(keys: list[str], what: str) -> list[str]:
    more = f" and {len(keys) - _MOST_KEYS} more" if len(keys) > _MOST_KEYS else ""
    return [f"{what}: {', '.join(keys[:_MOST_KEYS])}{more}"] if keys else []


def _renamed(model: nn.Module, translation: Translation) -> dict[str, Tensor]:
    ours = model.state_dict()
    like = next(tensor for tensor in ours.values() if tensor.is_floating_point())
    kept = vars(model).get("unused_of_peer", {})
    # first: where they share memory with used ones in the origin's network, the later one wins
    state = {
        key: _like(kept[key], like) if key in kept else neutral(key, shape, like)
        for key, shape in translation.unused.items()
    }
    return state | {their: ours[key] for key, keys in translation.keys.items() for their in keys}


def _like(tensor: Tensor, like: Tensor) -> Tensor:
    """On the device of `like`, and of its type unless it counts."""
    return tensor.to(like) if tensor.is_floating_point() else tensor.to(like.device)


def _differences(recipe: Recipe, again: Config, form: Form) -> list[str]:
    mine, theirs = without_pretrained(recipe.config.model_dump()), again.model_dump()
    return [
        f"{name}={value}"
        for name, value in mine.items()
        if value != theirs[name] and name not in form.assumes
    ]


def _create(name: str, options: Options) -> nn.Module:
    rest = {key: value for key, value in options.items() if key not in ("in_channels", "num_classes")}
    return create_model(name, in_channels=options["in_channels"], num_classes=options["num_classes"], **rest)


def _shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def _family(name: str) -> str:
    return name.partition(":")[0] + ":" if ":" in name else name


def forms_of(origin: str) -> tuple[Form, ...]:
    """The networks of an origin whose checkpoints are read; UnknownNameError."""
    try:
        return _origins()[origin]
    except KeyError:
        raise UnknownNameError(
            found=f"origin '{origin}'",
            expected="a project whose checkpoints uvala reads (or, to read one, 'auto')",
            fix=did_you_mean(origin, _origins()),
        ) from None


@cache
def _origins() -> dict[str, tuple[Form, ...]]:
    """Each file of origins/ says which it describes: nobody keeps a second list."""
    found: dict[str, tuple[Form, ...]] = {}
    for module in pkgutil.iter_modules(uvala.weights.origins.__path__, "uvala.weights.origins."):
        for name, forms in import_module(module.name).ORIGINS.items():
            assert name not in found, f"{name} is described twice"
            found[name] = forms
    return found
