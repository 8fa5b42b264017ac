"""From a folder to a trained network with its report: the whole path, inside one time budget."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

from uvala.api.fine_tuning import read_source, require_its_network
from uvala.api.fitting import fit
from uvala.api.fold_times import require_time
from uvala.api.folding import begin_folds, fit_folds, resume_folds
from uvala.api.following import follow
from uvala.api.leading import dismiss_followers
from uvala.api.lengthening import time_on_top
from uvala.api.preparing import name_of, prepare, write_down
from uvala.api.resuming import dataset_of, refuse_changes, resume_run, run_to_resume
from uvala.api.run import Run
from uvala.api.trying import improve_by_trials
from uvala.api.wishes import Wishes, asked_for, base_wishes
from uvala.augment.mixing import require_pairs
from uvala.errors import ConfigError, UvalaError
from uvala.files import held, storage_errors
from uvala.log import Listener
from uvala.plan.budget import Clock
from uvala.runs.folder import RunFolder, create_run, pick_device
from uvala.training.allocator import keep_freed_memory
from uvala.training.distributed import World
from uvala.training.stop import StopSignal
from uvala.training.tracking import require_tracker

__all__ = ["train"]


def train(
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    budget: str | float | None = None,
    epochs: float | None = None,
    model: str | None = None,
    recipe: str | None = None,
    plan: str | Path | None = None,
    start: str | Path | None = None,
    folds: int | None = None,
    track: str | None = None,
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
    recipe: a name of `recipe_names()`: settings of a well-known project. plan: a plan file, such as the
    plan.toml of another run. settings: any setting of the plan by its dotted path, such as
    {"patches.size": 192}. What is asked for by name wins over settings, these over a plan or a recipe, and
    what nobody asks for is planned.
    start: a run folder, or a checkpoint of another project, whose weights the training begins from.
    folds: so many networks by cross-validation, whose predictions are averaged; they share the budget. From
    five hours on the plan may take five by itself.
    track: "tensorboard" or "mlflow", where curves go besides log.jsonl; both write into the run folder.
    split: a JSON file with lists of names under "train", "val" and "test".
    resume: go on after the last checkpoint of `out`, by the plan that it holds; `data` only if they lie
    elsewhere by now. Then a budget is the new time of the whole training, and "+10m" so much more.
    listener: called with each event. started: `time.monotonic()` when the budget began; default now.

    The first Ctrl-C stops cleanly and still scores the best weights. Same seed, same number of steps or
    epochs and same machine give the same weights, bit for bit; under a budget the clock decides how many
    steps there are. Started by torchrun, all processes train one network; each returns its run, which lies
    where rank 0 wrote it. Raises a UvalaError for data, settings or folders that cannot be used.
    """
    started = time.monotonic() if started is None else started
    keep_freed_memory()
    data = None if data is None else Path(data).expanduser()
    lists = None if split is None else Path(split).expanduser()
    wished = partial(
        asked_for, settings or {}, epochs=epochs, model=model, seed=seed, folds=folds, track=track
    )
    with World.from_environment() as world:
        if not world.is_main:
            return Run(*follow(world, None if resume and out is None else data, device))
        if resume:
            run, data = run_to_resume(data, out)
            others = {"recipe": recipe, "plan": plan, "start": start, "split": split}
            more, budget = time_on_top(budget)
            named = (name for name, value in others.items() if value is not None)
            length = refuse_changes(run, wished(budget=budget), *named)
            with held(run.path):
                trained = _resume(run, data, length, more, device, listener, started, world)
        else:
            wishes = base_wishes(recipe, plan).under(wished(budget=budget, device=device))
            trained = _begin(data, wishes, start, out, lists, listener, started, world)
        dismiss_followers(world, trained.path)
        return trained


def _begin(
    data: Path | None,
    wishes: Wishes,
    start: str | Path | None,
    out: str | Path | None,
    lists: Path | None,
    listener: Listener | None,
    started: float,
    world: World,
) -> Run:
    """Train in a new folder, of which nothing is left if it comes to nothing."""
    if data is None:
        raise ConfigError(
            found="no data", expected="a folder or a CSV manifest", fix="name it: uvala train DATA"
        )
    wishes = wishes.with_length()
    base = wishes.plan()  # what can be refused is refused before the data are read
    if base.tracking != "none":
        require_tracker(base.tracking)
    source = None if start is None else read_source(start)
    if source is not None:
        require_its_network(source, wishes)
    device = world.own_device(pick_device(base.device))
    clock = Clock(base.length.budget, started=started)
    require_time(clock, base.folds)
    run = create_run(Path(out).expanduser() if out is not None else _default_out(data))
    with held(run.path), _tidied(run):
        prepared = prepare(
            data, wishes, lists, clock, device, listener, started, source=source, ranks=world.size
        )
        # refused before anything is written
        require_pairs(prepared.plan.augment, world.slots(prepared.plan.patches.batch))
        require_time(clock, prepared.plan.folds, prepared)
        if prepared.plan.folds > 1:
            log = begin_folds(prepared, run, listener, started)
            return fit_folds(run, prepared.dataset, clock, device, log, listener, world=world)
        log = write_down(prepared, run, listener, started)
        with StopSignal(launched=world.size > 1) as stop:
            if world.size == 1:
                improve_by_trials(prepared, wishes.values, run, log, clock=clock, stop=stop)
            return fit(run, prepared.dataset, clock, device, log, world=world, stop=stop)


def _resume(
    run: RunFolder,
    data: Path | None,
    length: Mapping[str, Any],
    more: float | None,
    device: str | None,
    listener: Listener | None,
    started: float,
    world: World,
) -> Run:
    """Go on with a run, or with all folds of one."""
    go_on = resume_folds if run.card.members else resume_run
    return go_on(
        run,
        dataset_of(run, data),
        length=length,
        more=more,
        device=device,
        listener=listener,
        started=started,
        world=world,
    )


@contextmanager
def _tidied(run: RunFolder) -> Iterator[None]:
    """Leave nothing of a training that comes to nothing in this block: its folder was new or empty before."""
    try:
        yield
    except BaseException as error:
        began = (run.path / "card.json").exists() and not isinstance(error, UvalaError)
        # its own, or of a fold; from a checkpoint a resume goes on, with the disk emptied or the images back
        trained = (*run.path.rglob(run.weights_path.name), *run.path.rglob("checkpoint/state*.safetensors"))
        if not began and not trained:
            shutil.rmtree(run.path, ignore_errors=True)
        raise


def _default_out(data: Path) -> Path:
    """A new folder runs/NAME-DATE, or NAME-DATE-2 and so on where others began in the same second."""
    first = Path("runs") / f"{name_of(data)}-{datetime.now():%Y%m%d-%H%M%S}"
    numbered = (first.with_name(f"{first.name}-{number}") for number in count(2))
    for path in chain([first], numbered):
        with storage_errors(path), suppress(FileExistsError):
            path.mkdir(parents=True)
            return path
    raise AssertionError("there is always another number")
