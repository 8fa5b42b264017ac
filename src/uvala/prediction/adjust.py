"""What of a card may be asked for otherwise when predicting: how images are cut, how objects are found."""

from collections.abc import Mapping
from typing import Any

from uvala.config import Config, override
from uvala.data.targets import OBJECTS
from uvala.errors import ConfigError
from uvala.instances.config import ObjectConfig
from uvala.runs.card import Card
from uvala.tiling.config import TileConfig

__all__ = ["Adjustable", "adjusted"]

_LEARNT = ("borders", "distance")  # methods that need what a network may have learnt besides the classes


class Adjustable(Config):
    """Settings of a prediction that training chose, and that may be chosen anew without training again."""

    tiles: TileConfig = TileConfig()
    objects: ObjectConfig = ObjectConfig()


def adjusted(card: Card, settings: Mapping[str, Any]) -> Card:
    """The card with some settings of `Adjustable` replaced, by their dotted paths such as "tiles.mode".

    ConfigError for an unknown path, a value out of its range, and for objects that the network cannot find.
    """
    if not settings:
        return card
    stored = Adjustable(tiles=card.tiles, objects=card.objects.settings)
    asked = override(stored, settings, where="the settings of the prediction")
    _require_findable(asked.objects, card)
    objects = card.objects.model_copy(update={"settings": asked.objects})
    return card.model_copy(update={"tiles": asked.tiles, "objects": objects})


def _require_findable(objects: ObjectConfig, card: Card) -> None:
    """ConfigError if the network knows no such class, or has not learnt what the method reads seeds from."""
    network = card.network
    if objects.object_class >= network.num_classes:
        raise ConfigError(
            found=f"objects.object_class={objects.object_class} for {network.num_classes} classes",
            expected=", ".join(f"{index} ({name})" for index, name in enumerate(card.encoding.names)),
            fix="give the index of one of these classes",
        )
    if objects.method in _LEARNT and network.objects != objects.method:
        raise ConfigError(
            found=f"objects.method={objects.method} for a network that predicts no {objects.method}",
            expected="components, watershed or probability, which need nothing but the classes",
            fix=f"use one of these, or train with --set targets.objects={objects.method}",
        )
    if objects.method in _LEARNT and objects.object_class != OBJECTS:
        raise ConfigError(
            found=f"objects.method={objects.method} for objects of class {objects.object_class}",
            expected=f"class {OBJECTS}, of which alone the network has learnt {objects.method}",
            fix="use components, watershed or probability, which need nothing but the classes",
        )
