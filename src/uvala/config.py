"""The only home of a default: frozen settings that refuse unknown keys, and how they are read and written.

The command line, its help, the TOML file and the documentation's tables are all read from the fields.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomlkit
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from uvala.errors import ConfigError, did_you_mean

__all__ = ["Config", "build", "flat", "options", "override", "parse_assignment", "read_toml", "to_toml"]


class Config(BaseModel):
    """Settings: frozen, unknown keys refused, every field with a default, a range and one sentence.

    Numbers are finite: no infinity, no NaN.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), validate_default=True, allow_inf_nan=False
    )


C = TypeVar("C", bound=Config)


def build(kind: type[C], values: Mapping[str, Any], *, where: str) -> C:
    """A `kind` made of `values`; what does not fit is one ConfigError that names each field."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise _config_error(kind, error, where) from None


def options(kind: type[Config], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Each setting of `kind` and of the configs inside it, as (dotted path, field)."""
    for name, info in kind.model_fields.items():
        nested = info.annotation
        if isinstance(nested, type) and issubclass(nested, Config):
            yield from options(nested, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info


def parse_assignment(text: str) -> tuple[str, Any]:
    """'path=value' as (path, value); the value is read as TOML, and as plain text if it is not TOML."""
    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise ConfigError(
            found=f"'{text}'", expected="path=value, such as patches.size=256", fix="write the setting so"
        )
    try:
        return path.strip(), tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return path.strip(), value.strip()


def override(config: C, assignments: Mapping[str, Any], *, where: str) -> C:
    """A copy of `config` with the settings at some dotted paths replaced; ConfigError on a wrong path."""
    values = config.model_dump()
    open_paths = {path for path, info in options(type(config)) if _is_table(info)}
    known = {path for path, _ in options(type(config))}
    for path, value in assignments.items():
        if path not in known and not any(path.startswith(f"{table}.") for table in open_paths):
            raise ConfigError(
                found=f"setting '{path}' in {where}",
                expected="a known setting",
                fix=did_you_mean(path, known),
            )
        *parents, last = path.split(".")
        place: Any = values
        for parent in parents:
            place = place.get(parent) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise ConfigError(
                found=f"setting '{path}' in {where}",
                expected=f"a table of settings above '{last}'",
                fix=did_you_mean(path, known),
            )
        place[last] = value
    return build(type(config), values, where=where)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Tables within tables as one: {"a": {"b": 1}} and {"a.b": 1} are both {"a.b": 1}."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        found |= flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return found


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; ConfigError if it cannot be read, with the line if it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(found=f"no file {path}", expected="a TOML file", fix="check the path") from None
    except OSError as error:
        inside = ", ".join(str(each) for each in sorted(path.glob("*.toml"))) if path.is_dir() else ""
        raise ConfigError(
            found=f"{path}: {(error.strerror or str(error)).lower()}",
            expected="a TOML file",
            fix=f"name the file: {inside}" if inside else "name a file that can be read",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(found=f"{path}: {error}", expected="a TOML file", fix="mend that line") from None


def to_toml(config: Config, reasons: Mapping[str, str] | None = None) -> str:
    """`config` as TOML. `reasons` (dotted path -> sentence) stand as comments above their settings."""
    document = tomlkit.document()
    _fill(document, config.model_dump(mode="json"), "", reasons or {})
    return tomlkit.dumps(document)


def _fill(table: Any, values: Mapping[str, Any], prefix: str, reasons: Mapping[str, str]) -> None:
    # TOML has no null: a setting that is None is left out and comes back as its default
    plain = {key: value for key, value in values.items() if value is not None}
    for key, value in sorted(plain.items(), key=lambda item: isinstance(item[1], dict)):
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            inner = tomlkit.table()
            if path in reasons:
                inner.comment(reasons[path])
            _fill(inner, value, f"{path}.", reasons)
            table.add(key, inner)
        else:
            if path in reasons:
                table.add(tomlkit.comment(reasons[path]))
            table.add(key, value)


def _is_table(info: FieldInfo) -> bool:
    return getattr(info.annotation, "__origin__", None) is dict


def _config_error(kind: type[Config], error: ValidationError, where: str) -> ConfigError:
    found, fixes = [], []
    known = {path for path, _ in options(kind)}
    for problem in error.errors():
        path = ".".join(str(part) for part in problem["loc"]) or "the settings together"
        if problem["type"] == "extra_forbidden":
            found.append(f"unknown option '{path}'")
            fixes.append(did_you_mean(path, known))
        else:
            found.append(f"{path} = {problem['input']!r}")
            message = problem["msg"].removeprefix("Value error, ")
            fixes.append(f"{path}: {message[0].lower()}{message[1:]}")
    return ConfigError(
        found=f"{', '.join(found)} in {where}",
        expected="known options within their ranges",
        fix="; ".join(fixes),
    )
