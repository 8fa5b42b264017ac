"""Settings on their way to a plan: what the user set, what was decided and why."""

from collections.abc import Mapping
from typing import Any

from uvala.config import override
from uvala.plan.schema import Plan, plan_of, plan_values

__all__ = ["Choices"]

_WISH = "set by you"


class Choices:
    """Settings with their reasons; what the user set wins and is not argued with.

    base: the plan of the user's settings and the defaults. reasons: by dotted path, those of the user's
    settings included.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.base = plan_of(settings, where="the settings")
        checked = plan_values(self.base)  # numbers are numbers here, whatever the settings came as
        self.settings = {path: checked.get(path) for path in settings}
        self._values = {**checked}
        self.chosen: dict[str, Any] = {}
        self.reasons = dict.fromkeys(settings, _WISH)

    def __getitem__(self, path: str) -> Any:
        """The value that holds by now: chosen, set by the user, or the default."""
        return self._values[path]

    def open(self, path: str) -> bool:
        """Whether the user left it to the plan."""
        return path not in self.settings

    def choose(self, path: str, value: Any, reason: str) -> Any:
        """Take `value` for the setting at `path` unless the user took another; the value that holds."""
        if self.open(path):
            self._values[path], self.reasons[path] = value, reason
        else:
            self._values[path] = self.settings[path]
        self.chosen[path] = self._values[path]
        return self._values[path]

    def model_options(self) -> dict[str, Any]:
        """The options of the network, so far."""
        prefix = "model.options."
        return {
            path.removeprefix(prefix): value
            for path, value in self._values.items()
            if path.startswith(prefix)
        }

    def plan(self) -> Plan:
        """The plan of all choices; ConfigError if they do not fit together."""
        return override(self.base, self.chosen, where="the plan")
