"""From a folder to a trained network with its report: the whole path, inside one time budget."""

import json
import math
import platform
import shutil
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
from uvala.api.tuning import MOST_IMAGES, tune_run
from uvala.config import build, flat, override
from uvala.data.dataset import Dataset, read_dataset
from uvala.data.sample import Sample
from uvala.data.splits import Split, make_split
from uvala.errors import ConfigError, RunError, SplitError, UvalaError
from uvala.evaluation.scores import Scores
from uvala.evaluation.tables import write_csv
from uvala.evaluation.verdict import verdict
from uvala.files import write_text
from uvala.log import Event, EventLog, Listener, read_events
from uvala.models.catalog import create_model, model_config, without_pretrained
from uvala.models.facts import measure
from uvala.plan.budget import DEFAULT, Clock, parse_duration
from uvala.plan.planner import make_plan
from uvala.plan.probe import check_batch
from uvala.plan.schema import Plan, plan_values, write_plan
from uvala.prediction.engine import Predictor
from uvala.runs.card import Card, DataCard, NetworkCard, TrainingCard
from uvala.runs.folder import RunFolder, create_run, open_run, pick_device
from uvala.training.checkpoint import Progress, read_progress
from uvala.training.loop import Job, Training
from uvala.training.stop import StopSignal

__all__ = ["train"]

# loading the weights again, reading a few images and drawing the page, on a slow machine
_AFTER_SECONDS = 7.0
# of these, what is left for the page: scoring ends here, if need be before its last image
_REPORT_SECONDS = 4.0
# every measure of an image beside its prediction: 0.4 to 1.4 microseconds a pixel as measured, outlines,
# objects and thresholds of membranes included
_SECONDS_PER_SCORED_PIXEL = 1e-6
# who presses Ctrl-C wants the result soon, and wants it to be more than one image
_BRIEF_SCORING = 10.0
# how long ways to find objects are compared; of a budget, this share and at least one second
_TUNING_SECONDS, _TUNING_SHARE = 20.0, 0.02


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

    data: a folder or a CSV manifest, in any layout that `uvala check` recognises.
    out: a new folder, or with `resume` the one to go on with; default runs/NAME-DATE.
    budget: wall-clock time of everything, such as "10m", "1h30m" or seconds. epochs: instead of a budget.
    split: a JSON file with lists of names under "train", "val" and "test".
    settings: any setting of the plan by its dotted path, such as {"patches.size": 192}.
    resume: go on after the last checkpoint of `out`, by the plan that it holds.
    listener: called with each event. started: `time.monotonic()` when the budget began; default now.

    The first Ctrl-C stops cleanly and still scores the best weights. Same seed, same number of steps or
    epochs and same machine give the same weights, bit for bit; under a budget the clock decides how many
    steps there are. Raises a UvalaError for data, settings or folders that cannot be used.
    """
    started = time.monotonic() if started is None else started
    data = Path(data).expanduser()
    if resume:
        wishes = _asked(settings or {}, budget=budget, epochs=epochs, model=model, seed=seed)
        return _resume(data, out, wishes, split, device, listener, started)
    wishes = _wishes(settings or {}, budget=budget, epochs=epochs, model=model, seed=seed, device=device)
    base = override(Plan(), wishes, where="the settings")
    clock = Clock(base.length.budget, started=started)
    torch_device = pick_device(base.device)
    # what can be refused is refused before the data are read
    build(model_config(base.model.name), base.model.options, where=f"the options of {base.model.name}")
    out = Path(out).expanduser() if out is not None else _default_out(data)
    create_run(out)
    try:
        return _train(data, out, wishes, split, clock, torch_device, listener, started)
    except BaseException as error:
        run = RunFolder(out)
        began = (out / "card.json").exists() and not isinstance(error, UvalaError)
        if not began and not run.weights_path.exists():
            # it was new or empty before: nothing is left of a training that came to nothing
            shutil.rmtree(out, ignore_errors=True)
        raise


def _train(
    data: Path,
    out: Path,
    wishes: dict[str, Any],
    split: str | Path | None,
    clock: Clock,
    device: torch.device,
    listener: Listener | None,
    started: float,
) -> Run:
    """Read, plan, write down, train."""
    early: list[Event] = []
    say = EventLog(None, early.append, *([listener] if listener else []), started=started)
    base = override(Plan(), wishes, where="the settings")
    dataset = read_dataset(data, progress=_reading(say))
    for note in dataset.notes:
        say("note", text=note)
    parts = make_split(dataset, seed=base.seed, file=None if split is None else Path(split).expanduser())
    say("data", table=_table(dataset), **_counts(parts), origin=parts.origin)
    plan, reasons = make_plan(
        dataset, dataset.subset(parts.train), settings=wishes, clock=clock, device=device
    )
    network = _network(plan, dataset)
    values = plan_values(plan)
    for path, reason in reasons.items():
        say("plan", path=path, value=values.get(path), reason=reason)

    run = RunFolder(out)
    write_plan(run.plan_path, plan, reasons)
    run.write_split(parts)
    run.write_contents(dataset.contents)
    write_text(run.log_path, "")
    log = EventLog(run.log_path, *([listener] if listener else []), started=started)
    for event in early:
        log.append(event)
    run.write_card(_card(dataset, parts, plan, network, device))
    return _fit(run, dataset, parts, clock, device, log)


def _refuse_changes(run: RunFolder, wishes: Mapping[str, Any], split: str | Path | None) -> None:
    """ConfigError if a resume asks for something else than the run's plan; asking for the same is fine."""
    plan = plan_values(run.plan)
    changes = [path for path, value in wishes.items() if plan.get(path) != value]
    if split is not None:
        changes.append("split")
    if changes:
        raise ConfigError(
            found=f"--resume together with another {', '.join(changes)}",
            expected=f"the plan and the split that {run.path} holds",
            fix="leave these out, or train anew with another --out",
        )


def _resume(
    data: Path,
    out: str | Path | None,
    wishes: Mapping[str, Any],
    split: str | Path | None,
    device: str | None,
    listener: Listener | None,
    started: float,
) -> Run:
    """Go on with the training of a run folder where its last checkpoint was."""
    if out is None:
        raise ConfigError(
            found="--resume without a run folder",
            expected="the folder to go on with",
            fix="name it with --out RUN",
        )
    run = open_run(out)
    _refuse_changes(run, wishes, split)
    if run.card.training.finished:
        raise RunError(
            found=f"{run.path}, whose training is finished",
            expected="a training that was cut off or stopped",
            fix="use it as it is, or train anew with another --out",
        )
    progress = read_progress(run.checkpoint_path)
    torch_device = pick_device(device or run.plan.device)
    clock = Clock(run.plan.length.budget, started=started, used=progress.seconds)
    card = run.card
    dataset = read_dataset(data, encoding=card.encoding, channels=card.data.channels)
    _require_same_images(run, dataset)
    _drop_events_after(run.log_path, progress)
    log = EventLog(run.log_path, *([listener] if listener else []), started=started - progress.seconds)
    log("note", text=f"resumed after step {progress.step}")
    return _fit(run, dataset, run.split, clock, torch_device, log, progress=progress)


def _require_same_images(run: RunFolder, dataset: Dataset) -> None:
    """SplitError unless the data set still has the images of the run's split, as they were."""
    names = [*run.split.train, *run.split.val, *run.split.test]
    dataset.subset(names)
    changed = [name for name in names if run.contents.get(name) != dataset.contents[name]]
    if changed:
        raise SplitError(
            found=f"{len(changed)} changed images in {dataset.root}, such as {changed[0]}",
            expected="the images that the training began with",
            fix="bring them back, or train anew with another --out",
        )


def _fit(
    run: RunFolder,
    dataset: Dataset,
    parts: Split,
    clock: Clock,
    device: torch.device,
    log: EventLog,
    progress: Progress | None = None,
) -> Run:
    """Train, from `progress` on if given, score the best weights, write the report."""
    card = run.card
    subset = "test" if parts.test else "val"
    scored = dataset.subset(getattr(parts, subset))
    validation = dataset.subset(parts.val)
    tuning = max(1.0, _TUNING_SHARE * clock.budget) if clock.budget else _TUNING_SECONDS
    decided_by = _shuffled(validation, run.plan.seed)[:MOST_IMAGES]
    job = Job(
        run=run,
        dataset=dataset,
        training=dataset.subset(parts.train),
        validation=validation,
        plan=run.plan,
        network=card.network,
        device=device,
        clock=clock,
        log=log,
        pixels_after=_pixels(dataset, [*decided_by, *scored]),
        seconds_after=_AFTER_SECONDS
        + tuning
        + 0.005 * (clock.budget or 0.0)
        + _SECONDS_PER_SCORED_PIXEL * _pixels(dataset, scored),
    )
    with StopSignal() as stop:
        training = Training(job, resume=progress is not None and progress.step > 0)
        ended = training.run(lambda: stop.asked)
        _write_training(run, training, clock, device, finished=False)
        if not ended:
            log(
                "warning", text=f"stopped at step {training.progress.step}; --resume --out {run.path} goes on"
            )
        # a resume near the end of its budget has no time left, and yet its scores must be worth something
        seconds = _BRIEF_SCORING if progress is not None or not ended else 0.0
        # what is decided now must leave the scores their share of the time
        share = len(decided_by) / (len(decided_by) + len(scored))
        over = _time_limit(stop, max((clock.remaining - tuning) * share, 1.0) if ended else seconds / 2)
        tuned = tune_run(run, dataset, decided_by, device=str(device), seconds=tuning, until=over)
        log("tuned", temperature=tuned.temperature, **tuned.objects.model_dump(mode="json"))
        left = max(clock.remaining - _REPORT_SECONDS, seconds)
        limit = _time_limit(stop, left if ended else seconds)
        scores = _score(run, dataset, scored, subset, device, log, limit)
    _write_training(run, training, clock, device, finished=ended)
    log(
        "end",
        finished=ended,
        mean_dice=scores.mean_dice,
        main=scores.main,
        main_value=scores.main_value,
        subset=subset,
        report=str(run.report_path),
    )
    return Run(run, str(device))


def _score(
    run: RunFolder,
    dataset: Dataset,
    samples: Sequence[Sample],
    subset: str,
    device: torch.device,
    log: EventLog,
    over: Callable[[], bool],
) -> Scores:
    """Score the best weights on `samples` until `over()`, and write scores and report."""
    gallery = Gallery()
    scores = score_samples(
        Predictor(run, str(device)),
        dataset,
        _shuffled(samples, run.plan.seed),
        subset=subset,
        gallery=gallery,
        until=over,
        progress=lambda done, total: log.tell("scoring", done=done, total=total),
    )
    if len(scores.images) < len(samples):
        log("note", text=f"scored {len(scores.images)} of {len(samples)} images, as many as time allowed")
    for sentence in verdict(scores):
        log("warning", text=sentence)
    scores.to_json(run.scores_path)
    write_csv(scores, run.path / "scores.csv")
    write_run_report(run, dataset, scores, gallery)
    return scores


def _wishes(settings: Mapping[str, Any], **named: Any) -> dict[str, Any]:
    """What the user asked for, by dotted path; with a length if there was none."""
    wishes = _asked(settings, **named)
    lengths = [path.removeprefix("length.") for path in wishes if path.startswith("length.")]
    if len(lengths) > 1:
        raise ConfigError(
            found=f"{' and '.join(sorted(lengths))} together",
            expected="one of budget, steps and epochs",
            fix="leave the others out",
        )
    return wishes if lengths else {**wishes, "length.budget": parse_duration(DEFAULT)}


def _asked(settings: Mapping[str, Any], **named: Any) -> dict[str, Any]:
    """What the user asked for, by dotted path."""
    paths = {
        "budget": "length.budget",
        "epochs": "length.epochs",
        "model": "model.name",
        "seed": "seed",
        "device": "device",
    }
    asked = {**flat(settings), **{paths[name]: value for name, value in named.items() if value is not None}}
    if "length.budget" in asked:
        asked["length.budget"] = parse_duration(asked["length.budget"])
    return asked


def _network(plan: Plan, dataset: Dataset) -> NetworkCard:
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
    check_batch(model, patch=plan.patches.size, batch=plan.patches.batch)
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
            name=_name(dataset.root),
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


def _write_training(
    run: RunFolder, training: Training, clock: Clock, device: torch.device, *, finished: bool
) -> None:
    progress = training.progress
    done = TrainingCard(
        finished=finished,
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        steps=progress.step,
        best_step=progress.best_step,
        best_dice=progress.best_dice,
        seconds=round(clock.elapsed, 2),
        waited=round(progress.waited, 2),
        device=str(device),
        machine=_machine(device),
    )
    run.write_card(run.card.model_copy(update={"training": done}))


def _pixels(dataset: Dataset, samples: Sequence[Sample]) -> int:
    return sum(math.prod(dataset.sizes[sample.name]) for sample in samples)


def _time_limit(stop: StopSignal, seconds: float) -> Callable[[], bool]:
    """Whether looking at images has to end: the time is up, or somebody asks now."""
    began, asked = time.monotonic(), stop.asked
    return lambda: time.monotonic() - began > seconds or (stop.asked and not asked)


def _shuffled(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """In a random order, so that those for which there is time are a fair sample."""
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    return [samples[index] for index in order.tolist()]


def _default_out(data: Path) -> Path:
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{_name(data)}-{now}"


def _name(data: Path) -> str:
    """What a data set is called: its folder, or its manifest without the ending."""
    full = data.resolve()
    return full.stem if full.is_file() else full.name


def _counts(parts: Split) -> dict[str, int]:
    return {"train": len(parts.train), "val": len(parts.val), "test": len(parts.test)}


def _table(dataset: Dataset) -> tuple[tuple[str, str, float, int], ...]:
    return tuple((row.value, row.class_name, row.share, row.images) for row in dataset.table)


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{platform.machine()}, {threads} thread{'s' * (threads != 1)}"


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
        if event.get("step", 0) <= progress.step and event["event"] not in ("warning", "end")
    ]
    write_text(path, "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in kept))
