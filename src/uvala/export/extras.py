"""Packages that only some exports need."""

from importlib import import_module
from typing import Any

from uvala.errors import BackendError

__all__ = ["require"]


def require(package: str, extra: str) -> Any:
    """The package; BackendError that names the extra of uvala which brings it."""
    try:
        return import_module(package)
    except ImportError as error:
        name = package.partition(".")[0]
        raise BackendError(
            found=f"no {name} in this environment ({error})",
            expected=f"the extra `{extra}`",
            fix=f"install it: pip install 'uvala[{extra}]'",
        ) from error
