"""From a folder to a trained network with its report: the whole path, inside one time budget."""

import json
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import uvala
from uvala.api.reporting import write_run_report
from uvala.api.run import Run
from uvala.api.scoring import Gallery, score_samples
from uvala.config import override
from uvala.data.dataset import Dataset, read_dataset
from uvala.data.sample import Sample
from uvala.data.splits import Split, make_split
from uvala.errors import ConfigError
from uvala.evaluation.scores import verdict, write_csv
from uvala.files import write_text
from uvala.log import Event, EventLog, Listener, read_events
from uvala.models.catalog import create_model
from uvala.models.facts import measure
from uvala.plan.budget import DEFAULT, Clock, parse_duration
from uvala.plan.planner import make_plan
from uvala.plan.schema import Plan, plan_values, write_plan
from uvala.prediction.engine import Predictor
from uvala.runs.card import Card, DataCard, NetworkCard, TrainingCard
from uvala.runs.folder import RunFolder, create_run, open_run, pick_device
from uvala.training.checkpoint import Progress, read_progress
from uvala.training.loop import Job, Training
from uvala.training.stop import StopSignal

__all__ = ["train"]

_AFTER_SECONDS = (
    5.0  # loading the weights again, reading a few images and drawing the page, on a slow machine
)
_REPORT_SECONDS = (
    2.5  # of these, what is left for the page: scoring ends here, if need be before its last image
)
_STOPPED_SCORING_SECONDS = 10.0  # who presses Ctrl-C wants the result soon


def train(
    data: str | Path,
    *,
    out: str | Path | None = None,
    budget: str | float | None = None,
    epochs: float | None = None,
    model: str | None = None,
    split: str | Path | None = None,
    seed: int | None = None,
    device: str | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    listener: Listener | None = None,
    started: float | None = None,
) -> Run:
    """Train a network on a data set and return its run.

    data: a folder or a CSV manifest, in any layout that `uvala check` recognises. out: a new folder, or with
    `resume` the one to go on with; default runs/NAME-DATE. budget: wall-clock time of everything, such as
    "10m",
    "1h30m" or seconds. epochs: instead of a budget. split: a JSON file with lists of names. settings: any
    setting of the plan by its dotted path, such as {"patches.size": 192}. listener: called with each event.
    started: `time.monotonic()` of the moment from which the budget counts; default now.

    The first Ctrl-C stops cleanly and still scores the best weights. Same seed, same number of steps or
    epochs,
    same machine: same weights, bit for bit; under a budget the clock decides how many steps there are.
    Raises a UvalaError for data, settings or folders that cannot be used.
    """
    started = time.monotonic() if started is None else started
    if resume:
        return _resume(Path(data), out, listener, started)
    wishes = _wishes(settings or {}, budget=budget, epochs=epochs, model=model, seed=seed, device=device)
    base = override(Plan(), wishes, where="the settings")
    clock = Clock(base.length.budget, started=started)
    torch_device = pick_device(base.device)
    early: list[Event] = []
    say = EventLog(None, early.append, *([listener] if listener else []), started=started)

    dataset = read_dataset(data, progress=_reading(say))
    for note in dataset.notes:
        say("note", text=note)
    parts = make_split(dataset, seed=base.seed, file=None if split is None else Path(split))
    say("data", table=_table(dataset), **_counts(parts), origin=parts.origin)
    plan, reasons = make_plan(
        dataset, dataset.subset(parts.train), settings=wishes, clock=clock, device=torch_device
    )
    network = _network(plan, dataset)
    values = plan_values(plan)
    for path, reason in reasons.items():
        say("plan", path=path, value=values.get(path), reason=reason)

    run = create_run(Path(out) if out is not None else _default_out(dataset))
    write_plan(run.plan_path, plan, reasons)
    run.write_split(parts)
    run.write_card(_card(dataset, parts, plan, network, torch_device))
    write_text(run.log_path, "")
    log = EventLog(run.log_path, *([listener] if listener else []), started=started)
    for event in early:
        log.append(event)
    return _fit(run, dataset, parts, clock, torch_device, log, resume=False)


def _resume(data: Path, out: str | Path | None, listener: Listener | None, started: float) -> Run:
    """Go on with the training of a run folder where its last checkpoint was."""
    if out is None:
        raise ConfigError(
            found="--resume without a run folder",
            expected="the folder to go on with",
            fix="name it with --out RUN",
        )
    run = open_run(out)
    progress = read_progress(run.checkpoint_path)
    clock = Clock(run.plan.length.budget, started=started, used=progress.seconds)
    card = run.card
    dataset = read_dataset(data, encoding=card.encoding, channels=card.data.channels)
    _drop_events_after(run.log_path, progress)
    log = EventLog(run.log_path, *([listener] if listener else []), started=started - progress.seconds)
    log("note", text=f"resumed after step {progress.step}")
    device = pick_device(run.plan.device)
    return _fit(run, dataset, run.split, clock, device, log, resume=run.checkpoint_path.is_file())


def _fit(
    run: RunFolder,
    dataset: Dataset,
    parts: Split,
    clock: Clock,
    device: torch.device,
    log: EventLog,
    *,
    resume: bool,
) -> Run:
    """Train, score the best weights, write the report."""
    card = run.card
    subset = "test" if parts.test else "val"
    scored = dataset.subset(getattr(parts, subset))
    job = Job(
        run=run,
        dataset=dataset,
        training=dataset.subset(parts.train),
        validation=dataset.subset(parts.val),
        plan=run.plan,
        network=card.network,
        device=device,
        clock=clock,
        log=log,
        pixels_after=sum(math.prod(dataset.sizes[sample.name]) for sample in scored),
        seconds_after=_AFTER_SECONDS + 0.005 * (clock.budget or 0.0),
    )
    with StopSignal() as stop:
        training = Training(job, resume=resume)
        finished = training.run(lambda: stop.asked)
        _write_training(run, training, finished, clock)
        if not finished:
            log(
                "warning",
                text=f"stopped at step {training.progress.step}; go on with --resume --out {run.path}",
            )
        limit = _scoring_limit(clock, stopped=not finished)
        predictor = Predictor(run, str(device))
        gallery = Gallery(card.network.num_classes)
        scores = score_samples(
            predictor, dataset, _shuffled(scored, run.plan.seed), subset=subset, gallery=gallery, until=limit
        )
        if len(scores.images) < len(scored):
            log("note", text=f"scored {len(scores.images)} of {len(scored)} images, as many as time allowed")
        for sentence in verdict(scores):
            log("warning", text=sentence)
        scores.to_json(run.scores_path)
        write_csv(scores, run.path / "scores.csv")
        write_run_report(run, dataset, scores, gallery)
    _write_training(run, training, finished, clock)
    log("end", finished=finished, mean_dice=scores.mean_dice, subset=subset, report=str(run.report_path))
    return Run(run, str(device))


def _wishes(settings: Mapping[str, Any], **named: Any) -> dict[str, Any]:
    """What the user asked for, by dotted path; with a length if there was none."""
    paths = {
        "budget": "length.budget",
        "epochs": "length.epochs",
        "model": "model.name",
        "seed": "seed",
        "device": "device",
    }
    wishes = {**settings, **{paths[name]: value for name, value in named.items() if value is not None}}
    if not any(path.startswith("length.") for path in wishes):
        wishes["length.budget"] = DEFAULT
    if "length.budget" in wishes:
        wishes["length.budget"] = parse_duration(wishes["length.budget"])
    return wishes


def _network(plan: Plan, dataset: Dataset) -> NetworkCard:
    """The network of the plan, with what tiling needs to know of it."""
    channels, classes = dataset.channels, dataset.encoding.num_classes
    model = create_model(plan.model.name, in_channels=channels, num_classes=classes, **plan.model.options)
    facts = measure(model, channels)
    return NetworkCard(
        name=plan.model.name,
        options=plan.model.options,
        in_channels=channels,
        num_classes=classes,
        parameters=facts.parameters,
        multiply_adds=facts.multiply_adds_512,
        multiple=facts.multiple,
        halo=facts.halo,
    )


def _card(dataset: Dataset, parts: Split, plan: Plan, network: NetworkCard, device: torch.device) -> Card:
    return Card(
        uvala=uvala.__version__,
        torch=torch.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network=network,
        encoding=dataset.encoding,
        normalisation=plan.normalisation,
        tiles=plan.tiles,
        data=DataCard(
            name=dataset.root.name,
            layout=dataset.layout,
            channels=dataset.channels_wanted,
            dtype=dataset.dtype,
            split_origin=parts.origin,
            notes=dataset.notes,
            table=_table(dataset),
            **_counts(parts),
        ),
        training=TrainingCard(device=str(device), machine=_machine(device)),
    )


def _write_training(run: RunFolder, training: Training, finished: bool, clock: Clock) -> None:
    progress = training.progress
    card = run.card
    done = card.training.model_copy(
        update={
            "finished": finished,
            "steps": progress.step,
            "best_step": progress.best_step,
            "best_dice": progress.best_dice,
            "seconds": round(clock.elapsed, 2),
            "waited": round(progress.waited, 2),
        }
    )
    run.write_card(card.model_copy(update={"training": done}))


def _scoring_limit(clock: Clock, *, stopped: bool) -> Callable[[], bool]:
    """Whether scoring has to end: the report still needs its time."""
    if stopped:
        end = time.monotonic() + _STOPPED_SCORING_SECONDS
        return lambda: time.monotonic() > end
    return lambda: clock.remaining < _REPORT_SECONDS


def _shuffled(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """In a random order, so that those for which there is time are a fair sample."""
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    return [samples[index] for index in order.tolist()]


def _default_out(dataset: Dataset) -> Path:
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{dataset.root.stem}-{now}"


def _counts(parts: Split) -> dict[str, int]:
    return {"train": len(parts.train), "val": len(parts.val), "test": len(parts.test)}


def _table(dataset: Dataset) -> tuple[tuple[str, str, float, int], ...]:
    return tuple((row.value, row.class_name, row.share, row.images) for row in dataset.table)


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


def _reading(say: EventLog) -> Callable[[int, int], None]:
    """Progress of reading as events, a few a second."""
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > 0.2:
            last = time.monotonic()
            say("reading", done=done, total=total)

    return progress


def _drop_events_after(path: Path, progress: Progress) -> None:
    """Steps that will be repeated must not stand in the log twice."""
    kept = [
        event
        for event in read_events(path)
        if event.get("step", 0) <= progress.step and event["event"] != "end"
    ]
    write_text(path, "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in kept))
