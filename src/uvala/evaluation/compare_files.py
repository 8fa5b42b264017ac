"""Scores from a run folder or a file, and what to say where there are none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from uvala.errors import RunError, did_you_mean
from uvala.evaluation.scores import Scores

__all__ = ["read_scores"]

_SHOWN = 4  # entries in a message
_START = 200  # characters of a file in which scores name their subset


def read_scores(path: str | Path) -> Scores:
    """The scores in a run folder (its scores.json) or in a file that `uvala evaluate --json` wrote.

    RunError if there are none, or if a version of other entries wrote them.
    """
    path = Path(path).expanduser()
    file = path / "scores.json" if path.is_dir() else path
    if not file.is_file():
        raise RunError(
            found=f"no scores at {file}",
            expected="a run folder with scores.json, or a file written by `uvala evaluate --json`",
            fix=_where_scores_are(path),
        )
    content = _content(file)
    if not isinstance(content, dict) or not {"subset", "classes", "images"} & set(content):
        raise _refused(f"{file}, which holds no scores")
    try:
        return Scores.model_validate(content)
    except ValidationError as error:
        raise _refused(f"{file}, {_misfit(error)}") from None


def _content(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(f"{file}, which cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise _refused(f"{file}, which holds no scores: it is damaged, or no JSON at all") from error


def _refused(found: str) -> RunError:
    return RunError(
        found=found,
        expected="scores as this version of uvala writes them",
        fix="run `uvala evaluate RUN DATA --json FILE` and give FILE",
    )


def _misfit(error: ValidationError) -> str:
    """What does not fit, as half a sentence: new entries before missing ones before odd values."""
    problems = [(each["type"], ".".join(map(str, each["loc"]))) for each in error.errors()]
    unknown = [name for kind, name in problems if kind == "extra_forbidden"]
    missing = [name for kind, name in problems if kind == "missing"]
    if unknown:
        return f"written by a newer version: unknown entries {_some(unknown)}"
    if missing:
        return f"written by an older version, or damaged: no entries {_some(missing)}"
    return f"which is damaged: odd values of {_some([name for _, name in problems])}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _where_scores_are(path: Path) -> str:
    """How to come by scores: evaluate the folder that is there, or take what lies beside a missing one."""
    if path.is_dir():
        inner = sorted(each.parent for each in path.glob("*/scores.json"))
        if inner and not (path / "card.json").is_file():
            return f"did you mean {inner[-1]}?"
        return f"run `uvala evaluate {path} DATA --json FILE` and give FILE"
    names = list(_beside(path))
    return did_you_mean(path.name, names) if names else "check the path"


def _beside(path: Path) -> Iterator[str]:
    """Names of the runs in a path's folder, and of its files of scores if the path looks like one."""
    try:
        near = sorted(path.parent.iterdir())
        yield from (each.name for each in near if _is_run(each))
        if path.suffix == ".json":
            yield from (each.name for each in near if each.suffix == ".json" and _starts_as_scores(each))
    except OSError:  # no such folder, or one that this user may not look into
        return


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("scores.json", "card.json"))


def _starts_as_scores(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return b'"subset"' in stream.read(_START)
