"""Before the first step: read the data, split them, plan, and write down what was decided."""

import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor

import uvala
from uvala.api.fine_tuning import Source, seen_before, start_from
from uvala.api.tuning import MOST_IMAGES
from uvala.api.wishes import VIEWS, Wishes, for_images
from uvala.data.dataset import Dataset, read_dataset
from uvala.data.facts import Facts
from uvala.data.splits import Split, make_split, units_of
from uvala.errors import BudgetError, ConfigError
from uvala.files import write_text
from uvala.images.read import count_pages
from uvala.log import Event, EventLog, Listener
from uvala.models.catalog import create_model, without_pretrained
from uvala.models.facts import measure
from uvala.plan.budget import Clock, format_duration
from uvala.plan.decisions.folds import folds_advice, folds_for
from uvala.plan.evidence import fact_lines
from uvala.plan.planner import fingerprint, make_plan
from uvala.plan.probe import check_batch
from uvala.plan.schema import Plan, plan_values, write_plan
from uvala.runs.card import Card, DataCard, NetworkCard, TrainingCard
from uvala.runs.folder import RunFolder
from uvala.training.freezing import encoder_of

__all__ = ["Prepared", "machine_of", "name_of", "prepare", "write_down"]


_Choice = tuple[Plan, dict[str, str]]
"""A plan, and the reason of each choice by dotted path."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that is decided before the first step. data: the folder or manifest that somebody named.

    reasons: of each decision, by dotted path. start: weights to begin from; None: fresh ones. notes: about
    the data, besides those of the data set. events: what has been said so far; the listener has heard it, the
    log of the run has yet to get it.
    """

    data: Path
    dataset: Dataset
    split: Split
    plan: Plan
    reasons: Mapping[str, str]
    network: NetworkCard
    device: torch.device
    facts: Facts
    source: Source | None = None
    start: Mapping[str, Tensor] | None = None
    notes: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()


def prepare(
    data: Path,
    wishes: Wishes,
    split: Path | None,
    clock: Clock,
    device: torch.device,
    listener: Listener | None,
    started: float,
    *,
    source: Source | None = None,
    ranks: int = 1,
) -> Prepared:
    """Read, split and plan; nothing is written. wishes: with a length among them.

    clock: of the whole command. BudgetError where it runs out while the data are read, or the plan finds too
    little time left.
    source: whose weights the training begins from; its network and what else can be kept is in the plan,
    wherever the wishes do not want it otherwise. ranks: processes that will share the batch.
    """
    events: list[Event] = []
    say = EventLog(None, events.append, *([listener] if listener else []), started=started)
    dataset = read_dataset(data, progress=_reading(say, clock))
    for note in dataset.notes:
        say("note", text=note)
    parts = make_split(dataset, seed=wishes.plan().seed, file=split)
    say("data", table=_table(dataset), **_counts(parts), origin=parts.origin)
    notes: tuple[str, ...] = ()
    if source is not None:
        if seen := seen_before(source, dataset, parts, folds=wishes.plan().folds):
            notes = (seen,)
            say("warning", step=0, text=seen)  # of step 0: no resume takes it out of the log
        wishes = source.wishes_for(dataset).under(source.wishes()).under(wishes)
    wishes, given_up = for_images(wishes, dataset, given=source is not None)
    for note in given_up:
        say("note", text=note)
    training = dataset.subset(parts.train)
    facts = fingerprint(dataset, training, clock.budget)
    numbered = dataset.encoding.kind == "instances"
    say("facts", lines=fact_lines(facts, dataset.encoding.names, numbered=numbered))

    def planned(wishes: Wishes) -> _Choice:
        folds = wishes.plan().folds
        plan, reasons = make_plan(
            dataset,
            training,
            settings=wishes.values,
            clock=clock.of_each(folds),
            device=device,
            facts=facts,
            pixels_after=pixels_after(dataset, parts, folds=folds),
            ranks=ranks,
            given=source is not None,
            tell=lambda line: say("probe", text=line),
        )
        return plan, wishes.explain(reasons)

    groups = 0 if source is not None else _groups_to_part(dataset, parts)
    folds, why_folds = folds_for(wishes.values, clock.budget, groups)
    (plan, reasons), without = _first_in_time(_from_the_costliest(wishes, folds, why_folds), planned)
    values = plan_values(plan)
    if without:
        say("note", text=without)
    elif advice := folds_advice(values, wishes.values, groups):
        say("probe", text=advice)
    network = _network(plan, dataset, ranks)
    for path, reason in reasons.items():
        say("plan", path=path, value=values.get(path), reason=reason)
    start = None
    if source is not None:
        start = start_from(source, network, dataset.encoding.names, seed=plan.seed)
        for note in start.notes:
            say("note", text=note)
    return Prepared(
        data,
        dataset,
        parts,
        plan,
        reasons,
        network,
        device,
        facts,
        source,
        None if start is None else start.state,
        notes=notes,
        events=tuple(events),
    )


def _from_the_costliest(wishes: Wishes, folds: int, why_folds: str) -> list[tuple[Wishes, str]]:
    """The wishes, with folds that nobody asked for, and without what a recipe would give up for lack of time.

    Each with what is given up, in a sentence. why_folds: empty: there are none.
    """
    if why_folds:
        alone = f"one network: the time does not suffice for {folds}"
        return [(wishes.instead({"folds": folds}, why_folds), ""), (wishes, alone)]
    views = {path: False for path in VIEWS if wishes.values.get(path) and wishes.may_give_up(path)}
    if not views:
        return [(wishes, "")]
    said = "one view of an image: there is no time for the mirrored ones of the recipe"
    return [(wishes, ""), (wishes.instead(views, said), said)]


def _first_in_time(
    attempts: Sequence[tuple[Wishes, str]], planned: Callable[[Wishes], _Choice]
) -> tuple[_Choice, str]:
    """What is planned by the first wishes for which the time suffices, and what these gave up.

    BudgetError where it suffices for none.
    """
    *costly, (cheapest, given_up) = attempts
    for wishes, without in costly:
        with suppress(BudgetError):
            return planned(wishes), without
    return planned(cheapest), given_up


def _groups_to_part(dataset: Dataset, parts: Split) -> int:
    """Groups of images, or single ones, that folds may part; 0 where somebody decided what validates."""
    if parts.seed is None:
        return 0
    free = {*parts.train, *parts.val}
    return sum(not free.isdisjoint(unit) for unit in units_of(dataset)[0])


def write_down(
    prepared: Prepared,
    run: RunFolder,
    listener: Listener | None,
    started: float,
    *,
    members: tuple[str, ...] = (),
) -> EventLog:
    """Fill a new run folder with all that a training, or its resume, begins from; the run's log.

    members: the folders of its folds. The card comes last: a folder without one is no run.
    """
    dataset, parts, plan = prepared.dataset, prepared.split, prepared.plan
    write_plan(run.plan_path, plan, prepared.reasons)
    run.write_facts(prepared.facts)
    run.write_split(parts)
    run.write_contents(dataset.contents, dataset.mask_contents)
    write_text(run.log_path, "")
    log = EventLog(run.log_path, *([listener] if listener else []), started=started)
    for event in prepared.events:
        log.append(event)
    if prepared.start is not None:
        run.write_start(prepared.start)
    run.write_card(_card(prepared, members))
    return log


def pixels_after(dataset: Dataset, parts: Split, *, folds: int = 1) -> int:
    """Pixels of the images that are predicted after the training: some to decide by, others to be scored.

    Of several folds it is one's share: its own validation images, and at the end of all of them each image by
    the network that was not trained on it, the test images by every network.
    """

    def pixels(names: Sequence[str]) -> int:
        return sum(math.prod(dataset.sizes[name]) for name in names)

    if folds == 1:
        return pixels([*parts.val[:MOST_IMAGES], *(parts.test or parts.val)])
    trained = [*parts.train, *parts.val]
    deciding = min(1.0, MOST_IMAGES * folds / len(trained)) + min(1.0, MOST_IMAGES / len(trained))
    return round((2 + deciding) * pixels(trained) / folds) + pixels(parts.test)


def name_of(data: Path) -> str:
    """What a data set is called: its folder, or its manifest without the ending."""
    full = data.resolve()
    return full.stem if full.is_file() else full.name


def machine_of(device: torch.device) -> str:
    """The processor and its threads, or the GPU, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{platform.machine()}, {threads} thread{'s' * (threads != 1)}"


def _network(plan: Plan, dataset: Dataset, ranks: int) -> NetworkCard:
    """The network of the plan, with what tiling needs to know of it."""
    channels, classes = dataset.channels, dataset.encoding.num_classes
    logits = classes + plan.targets.extra_logits
    options = without_pretrained(plan.model.options)
    model = create_model(plan.model.name, in_channels=channels, num_classes=logits, **options)
    if crops := getattr(model, "crops", 0):
        raise ConfigError(
            found=f"{plan.model.name}, whose logits lack {crops} pixels on each side of the image",
            expected="a network whose logits are as large as the image",
            fix="leave out model.options.borders=valid; the plan's choice mirrors the image's border instead",
        )
    if plan.freeze.encoder:
        encoder_of(model)
    if ranks == 1:  # the batch norms of several look at what all of them hold
        check_batch(model, patch=plan.patches.size, batch=plan.patches.batch, parts=plan.optimiser.accumulate)
    facts = measure(model, channels)
    return NetworkCard(
        name=plan.model.name,
        options=plan.model.options,
        in_channels=channels,
        num_classes=classes,
        logits=logits if plan.targets.extra_logits else None,
        # weights change what is learnt, not what the logits are
        objects="classes" if plan.targets.objects == "weights" else plan.targets.objects,
        parameters=facts.parameters,
        multiply_adds=facts.multiply_adds_512,
        multiple=facts.multiple,
        halo=facts.halo,
    )


def _card(prepared: Prepared, members: tuple[str, ...]) -> Card:
    dataset, parts, plan, source = prepared.dataset, prepared.split, prepared.plan, prepared.source
    return Card(
        uvala=uvala.__version__,
        torch=torch.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network=prepared.network,
        encoding=dataset.encoding,
        normalisation=plan.normalisation,
        tiles=plan.tiles,
        test_time=plan.test_time,
        members=members,
        data=DataCard(
            name=name_of(prepared.data),
            path=str(prepared.data.resolve()),
            layout=dataset.layout,
            channels=dataset.channels_wanted,
            dtype=dataset.dtype,
            pages_as_channels=_pages_as_channels(dataset),
            split_origin=parts.origin,
            notes=(*prepared.notes, *dataset.notes),
            table=_table(dataset),
            **_counts(parts),
        ),
        training=TrainingCard(
            start="" if source is None else f"the weights of {source.words}",
            device=str(prepared.device),
            machine=machine_of(prepared.device),
        ),
    )


def _pages_as_channels(dataset: Dataset) -> bool:
    first = dataset.samples[0].image
    return first.page is None and count_pages(first.path) > 1


def _counts(parts: Split) -> dict[str, int]:
    return {"train": len(parts.train), "val": len(parts.val), "test": len(parts.test)}


def _table(dataset: Dataset) -> tuple[tuple[str, str, float, int], ...]:
    return tuple((row.value, row.class_name, row.share, row.images) for row in dataset.table)


def _reading(say: EventLog, clock: Clock) -> Callable[[int, int], None]:
    """Progress of reading as events, a few a second; BudgetError when it has used up the time."""
    last, began = 0.0, clock.elapsed

    def progress(done: int, total: int) -> None:
        nonlocal last
        budget, spent = clock.budget or 0.0, clock.elapsed - began
        # not where it took longer to start the program: that says nothing of the data
        if clock.remaining <= 0 and spent > budget / 2:
            whole = began + spent * total / done
            raise BudgetError(
                found=f"a budget of {format_duration(budget)}, which is up with {done:,} of "
                f"{total:,} images read",
                expected="time to read all of them, and as much again to train",
                fix=f"give {format_duration(2 * whole)} or more, or fewer or smaller images",
            )
        if done == total or time.monotonic() - last > 0.2:
            last = time.monotonic()
            say("reading", done=done, total=total)

    return progress
