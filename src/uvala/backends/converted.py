"""Networks in the form of another runtime, kept on disk: to convert one takes seconds, to read it does not.

An entry is a folder of files, written under another name and then renamed. Its name is made of the weights,
so that a network that was trained on is another one. Those used longest ago make room.
"""

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from torch import nn

from uvala.files import cache_folder

__all__ = ["converted", "structure_of", "versions_of"]

_LIMIT = 2 * 2**30  # bytes of all entries: a dozen networks of 31 M parameters
_UNFINISHED = ".part"
_STALE = 24 * 3600.0  # seconds after which what nobody finished was left by a killed process


@contextmanager
def converted(
    network: nn.Module, kind: str, packages: tuple[str, ...], convert: Callable[[Path], None]
) -> Iterator[Path]:
    """A folder with what `convert(folder)` writes into it, or wrote earlier for the same network.

    kind: of the files. packages: whose versions decide what is written. The folder may go after the block.
    """
    with _scratch() as scratch:
        store = _store()
        if store is None:
            convert(scratch)
            yield scratch
            return
        entry = store / f"{kind}-{_key(network, packages)}"
        if not entry.is_dir():
            _write(entry, scratch, convert)
        with contextlib.suppress(OSError):
            entry.touch()  # when it was last used
        yield entry if entry.is_dir() else scratch


def structure_of(network: nn.Module) -> str:
    """What a network is, without its weights: the same for two that were trained from one recipe."""
    shapes = [(name, tuple(each.shape), str(each.dtype)) for name, each in network.state_dict().items()]
    layers = [type(module).__name__ for module in network.modules()]
    recipe = vars(network).get("recipe", "")
    return hashlib.sha256(repr((shapes, layers, recipe)).encode()).hexdigest()


def versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of these packages; "" of what is not installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found


def _write(entry: Path, scratch: Path, convert: Callable[[Path], None]) -> None:
    """Fill the entry, or `scratch` if there is no room for it."""
    convert(scratch)
    with contextlib.suppress(OSError):
        part = Path(tempfile.mkdtemp(suffix=_UNFINISHED, dir=entry.parent))
        try:
            for file in scratch.iterdir():
                shutil.copyfile(file, part / file.name)
            part.rename(entry)  # fails where another process was first
        finally:
            shutil.rmtree(part, ignore_errors=True)
        _make_room(entry)


def _make_room(newest: Path) -> None:
    entries = sorted(newest.parent.iterdir(), key=lambda each: each.stat().st_mtime)
    total = sum(_bytes(each) for each in entries)
    for each in entries:
        stale = each.suffix == _UNFINISHED and time.time() - each.stat().st_mtime > _STALE
        if stale or (total > _LIMIT and each != newest and each.suffix != _UNFINISHED):
            total -= _bytes(each)
            shutil.rmtree(each, ignore_errors=True)


def _bytes(entry: Path) -> int:
    return sum(file.stat().st_size for file in entry.iterdir())


def _store() -> Path | None:
    """Where entries lie; None where there is no place for them."""
    try:
        folder = cache_folder() / "networks"
        # weights may be worth as much as what they were trained on
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="uvala-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _key(network: nn.Module, packages: tuple[str, ...]) -> str:
    digest = hashlib.sha256(structure_of(network).encode())
    digest.update(repr(versions_of(("uvala", "torch", *packages))).encode())
    for weights in network.state_dict().values():
        digest.update(weights.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
