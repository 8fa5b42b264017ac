"""Members of every family of networks that are small enough for tests."""

from typing import Any

from uvala.models.catalog import model_facts

__all__ = ["small_member"]


def small_member(name: str) -> tuple[str, dict[str, Any]]:
    """Name and options of the smallest network of that kind; of "unet:resnet34", on another encoder."""
    options = dict(model_facts(name)["small"])
    family, colon, _ = name.partition(":")
    return (f"{family}:{options.pop('encoder')}" if colon else name), options
