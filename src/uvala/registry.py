"""A registry: names to builders, each with the config that its annotation declares."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_type_hints

from uvala.config import Config
from uvala.errors import UnknownNameError, did_you_mean

__all__ = ["Entry", "Registry"]

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered builder: a function of one config, and what is known about what it builds."""

    name: str
    builder: Callable[[Any], T]
    config: type[Config]
    facts: dict[str, Any] = field(default_factory=dict)


class Registry(Generic[T]):
    """Builders by name. A builder takes one Config; the registry reads its class from the annotation."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self._entries: dict[str, Entry[T]] = {}

    def register(
        self, builder: Callable[[Any], T], name: str | None = None, **facts: Any
    ) -> Callable[[Any], T]:
        """Register a function under `name`, or its own, and return it."""
        name = name or builder.__name__
        assert name not in self._entries, f"{self.noun} {name} is registered twice"
        hints = get_type_hints(builder)
        hints.pop("return", None)
        (config,) = hints.values()
        self._entries[name] = Entry(name, builder, config, facts)
        return builder

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __getitem__(self, name: str) -> Entry[T]:
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(
                found=f"{self.noun} '{name}'",
                expected=f"the name of a {self.noun} that uvala has",
                fix=did_you_mean(name, self._entries),
            ) from None
