"""A plan without a training: what would be done, and why."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvala.api.fine_tuning import read_source, require_its_network
from uvala.api.fold_times import require_time
from uvala.api.preparing import prepare
from uvala.api.wishes import asked_for, base_wishes
from uvala.data.facts import Facts
from uvala.data.splits import Split
from uvala.log import Event, Listener
from uvala.plan.budget import Clock
from uvala.plan.schema import Plan, write_plan
from uvala.plan.trials import trials_to_come
from uvala.runs.folder import pick_device

__all__ = ["Planned", "plan_training"]


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan, with all that it was made from.

    reasons: of each decision, by dotted path of the setting. facts: of the training images. evidence: what
    was measured on this machine, a line each. trials: what a training would try out before it begins, in a
    sentence; empty: nothing.
    """

    plan: Plan
    reasons: Mapping[str, str]
    facts: Facts
    split: Split
    evidence: tuple[str, ...] = ()
    trials: str = ""

    def write(self, path: str | Path) -> None:
        """Write the plan as TOML with its reasons as comments; `train(data, plan=path)` trains by it."""
        write_plan(Path(path), self.plan, self.reasons)


def plan_training(
    data: str | Path,
    *,
    budget: str | float | None = None,
    epochs: float | None = None,
    model: str | None = None,
    recipe: str | None = None,
    plan: str | Path | None = None,
    start: str | Path | None = None,
    folds: int | None = None,
    split: str | Path | None = None,
    seed: int | None = None,
    device: str | None = None,
    settings: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
    started: float | None = None,
) -> Planned:
    """What `train` would do with the same arguments, and why; nothing is written.

    The data are read, and under a budget some training steps are measured: seconds, at most a twentieth of
    the budget. From an hour on `train` first tries some settings otherwise: see `Planned.trials`. Raises a
    UvalaError for data or settings that cannot be used.
    """
    started = time.monotonic() if started is None else started
    own = asked_for(
        settings or {}, budget=budget, epochs=epochs, model=model, seed=seed, device=device, folds=folds
    )
    wishes = base_wishes(recipe, plan).under(own).with_length()
    base = wishes.plan()
    source = None if start is None else read_source(start)
    if source is not None:
        require_its_network(source, wishes)
    evidence: list[str] = []

    def listen(event: Event) -> None:
        if event["event"] == "probe":
            evidence.append(event["text"])
        if listener is not None:
            listener(event)

    clock = Clock(base.length.budget, started=started)
    require_time(clock, base.folds)
    prepared = prepare(
        Path(data).expanduser(),
        wishes,
        None if split is None else Path(split).expanduser(),
        clock,
        pick_device(base.device),
        listen,
        started,
        source=source,
    )
    require_time(clock, prepared.plan.folds, prepared)
    return Planned(
        prepared.plan,
        prepared.reasons,
        prepared.facts,
        prepared.split,
        tuple(evidence),
        trials_to_come(prepared.plan, wishes.values),
    )
