"""Write docs/settings.md: every setting of a plan, with its default, its range and what it means.

python docs/make_settings.py
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from uvala.config import Config
from uvala.files import write_text
from uvala.plan.schema import Plan

PAGE = Path(__file__).parents[1] / "docs/settings.md"

HEAD = """# Settings

Every setting of a training, as `plan.toml` holds it. Written by `python docs/make_settings.py` from the
schema that the command line and the checks read too.

The plan decides most of them from the data, the time and the machine: `uvala plan DATA --budget 10m` prints
each decision with its reason, and `--out plan.toml` writes them all down. What you set wins: with
`--set patches.size=192` on the command line, with `settings={"patches.size": 192}` in Python, or in a plan
file, of which `uvala train DATA --plan FILE` takes all that stands in it and plans the rest. The options of
the networks (`model.options.NAME`) are in [models.md](models.md).
"""

SIGNS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}


def main() -> None:
    """Write the page."""
    write_text(PAGE, page())


def page() -> str:
    """docs/settings.md"""
    return "\n".join([HEAD, *section(Plan)]) + "\n"


def section(kind: type[Config], path: str = "") -> Iterator[str]:
    """A table of the settings of `kind`, and sections of the configs inside it."""
    nested = {name: info.annotation for name, info in kind.model_fields.items() if is_config(info.annotation)}
    yield f"## {path.rstrip('.') or 'At the top'}\n"
    yield f"{inspect.getdoc(kind)}\n"
    yield "| setting | default | values | what it is |"
    yield "|---|---|---|---|"
    for name, info in kind.model_fields.items():
        if name not in nested:
            yield f"| `{path}{name}` | {default(info)} | {values(info)} | {escaped(info.description or '')} |"
    yield ""
    for name, inner in nested.items():
        assert inner is not None
        yield from section(inner, f"{path}{name}.")


def is_config(annotation: Any) -> bool:
    """Whether a field holds settings of its own."""
    return isinstance(annotation, type) and issubclass(annotation, Config)


def default(info: FieldInfo) -> str:
    """A default as TOML would have it."""
    value = info.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def values(info: FieldInfo) -> str:
    """Which values a setting may have: names, or a range."""
    if get_origin(info.annotation) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(info.annotation))
    if info.annotation is bool:
        return "`true`, `false`"
    limits = [
        f"{word} {getattr(each, sign)}"
        for each in info.metadata
        for sign, word in SIGNS.items()
        if getattr(each, sign, None) is not None
    ]
    return " ".join(limits)


def escaped(text: str) -> str:
    """Text inside a table's cell."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
