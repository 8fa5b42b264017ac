"""Splits that somebody has decided: a file of names, or what the layout says of each sample."""

import json
from collections import defaultdict
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from uvala.data.sample import Sample
from uvala.data.scan import file_name
from uvala.data.wording import count, name_some
from uvala.errors import SplitError, did_you_mean

__all__ = ["SIDES", "decided_sides"]

SIDES = ("train", "val", "test")


def decided_sides(
    samples: Sequence[Sample], root: Path, file: Path | None = None
) -> tuple[dict[str, str], list[str]]:
    """The side of each sample as somebody decided it, and by what in words; empty where nobody did."""
    own = root / "split.json"
    if file is not None or own.is_file():
        path = own if file is None else file
        return _read_lists(path, samples, root), [f"lists of names in {path.name}"]
    sides = {sample.name: sample.split for sample in samples if sample.split is not None}
    return sides, ["as the data set has it"] if sides else []


def _read_lists(path: Path, samples: Sequence[Sample], root: Path) -> dict[str, str]:
    content = _read_json(path)
    known = _aliases(samples, root)
    sides: dict[str, str] = {}
    unknown: list[str] = []
    for side in SIDES:
        for given in content.get(side, []):
            matches = known.get(given, [])
            if len(matches) > 1:
                raise SplitError(
                    found=f"'{given}' in {path}, which could be {name_some(matches)}",
                    expected="names that mean one image each",
                    fix="write the full names",
                )
            if not matches:
                unknown.append(given)
            elif sides.setdefault(matches[0], side) != side:
                raise SplitError(
                    found=f"'{given}' in the lists '{sides[matches[0]]}' and '{side}' of {path}",
                    expected="each image in one list",
                    fix="take it out of one of them",
                )
    if unknown:
        near = get_close_matches(unknown[0], known, n=1, cutoff=0.5)
        raise SplitError(
            found=f"{count(len(unknown), 'name')} in {path} without an image and mask: {name_some(unknown)}",
            expected=f"names of the data set's {count(len(samples), 'image')}, such as '{samples[0].name}'",
            fix=f"did you mean '{near[0]}'?" if near else "check that this file belongs to these data",
        )
    return sides


def _read_json(path: Path) -> dict[str, list[str]]:
    """The lists of a split file; SplitError if it is not one."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SplitError(
            found=f"{path}, which cannot be read ({error.strerror})",
            expected="a JSON file with lists of names",
            fix="check the path given to --split",
        ) from None
    except ValueError as error:
        raise SplitError(found=f"{path}: {error}", expected="a JSON file", fix="mend that place") from None
    if not isinstance(content, dict) or not content:
        raise SplitError(
            found=f"{path}, which holds no lists",
            expected='{"train": [...], "val": [...], "test": [...]}',
            fix="write lists of image names under these keys",
        )
    for key, names in content.items():
        if key not in SIDES:
            raise SplitError(
                found=f"key '{key}' in {path}",
                expected=f"only {', '.join(SIDES)}",
                fix=did_you_mean(key, SIDES),
            )
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise SplitError(
                found=f"'{key}' in {path}, which is no list of names",
                expected='a list such as ["a.png", "b.png"]',
                fix="write the names of the images",
            )
    return content


def _aliases(samples: Sequence[Sample], root: Path) -> dict[str, list[str]]:
    """What a sample may be called: its name or its image's path, with or without folders and ending."""
    known: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        full = PurePosixPath(sample.name)
        bare = full if sample.image.page is not None else full.with_suffix("")
        path = PurePosixPath(file_name(sample.image, root))
        short = path if sample.image.page is not None else path.with_suffix("")
        for alias in dict.fromkeys((sample.name, str(bare), full.name, bare.name, str(short))):
            known[alias].append(sample.name)
    for sample in samples:
        known[file_name(sample.image, root)] = [sample.name]  # a full path means that sample,
    for sample in samples:
        known[sample.name] = [sample.name]  # and so does a full name, whatever else it could abbreviate
    return known
