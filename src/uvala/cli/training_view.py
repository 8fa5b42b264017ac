"""A training on the terminal: what was understood, a bar that moves, and what came of it."""

import shlex
from pathlib import Path
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from uvala.cli.terminal import console, encoding_table, labelled
from uvala.data.wording import count
from uvala.log import Event

__all__ = ["TrainingView"]

# what stands before the mean Dice, where the task has another main measure
_MAIN = {"ap": "mean AP", "v_rand": "V_rand"}


class TrainingView:
    """A listener of training events that draws them."""

    def __init__(self) -> None:
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[words]}", style="dim"),
            console=console,
            transient=True,
        )
        self.task: TaskID | None = None
        self.score = ""
        self.score_line = ""
        self.decisions: list[str] = []  # not drawn yet, all for the same reason
        self.reason = ""

    def __enter__(self) -> "TrainingView":
        self.bar.start()
        self.task = self.bar.add_task("starting", total=1.0, words="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draw_decisions()
        self.bar.stop()

    def __call__(self, event: Event) -> None:
        """Draw one event; decisions are drawn together where one reason stands for several."""
        if event["event"] != "plan" or event["reason"] != self.reason:
            self._draw_decisions()
        drawer = getattr(self, f"_on_{event['event']}", None)
        if drawer is not None:
            drawer(event)

    def summary(self, path: Path) -> None:
        """The last lines: the score and what to do next."""
        if self.score_line:
            console.print(labelled("score", self.score_line))
        # not wrapped: a path is to be copied
        console.print(f"report   {path / 'report.html'}", markup=False, soft_wrap=True)
        console.print(
            f"next     uvala predict {shlex.quote(str(path))} IMAGES --out predictions --overlay",
            markup=False,
            soft_wrap=True,
        )

    def _draw(self, description: str, share: float, words: str) -> None:
        assert self.task is not None
        self.bar.update(self.task, description=description, completed=share, words=words)

    def _on_reading(self, event: Event) -> None:
        self._draw(
            "reading", event["done"] / event["total"], f"{event['done']:,} of {event['total']:,} images"
        )

    def _on_scoring(self, event: Event) -> None:
        self._draw(
            "scoring", event["done"] / event["total"], f"{event['done']:,} of {event['total']:,} images"
        )

    def _on_fold(self, event: Event) -> None:
        self.score = ""
        console.print(labelled("fold", f"{event['number']} of {event['of']}"))

    def _on_note(self, event: Event) -> None:
        console.print(labelled("", event["text"], "dim"))

    def _on_warning(self, event: Event) -> None:
        console.print(labelled("warning", event["text"], "yellow"))

    def _on_data(self, event: Event) -> None:
        console.print(encoding_table(event["table"]))
        parts = ", ".join(f"{event[name]:,} {name}" for name in ("train", "val", "test") if event[name])
        console.print(labelled("split", f"{parts} ({event['origin']})"))
        self._draw("planning", 0.0, "")

    def _on_facts(self, event: Event) -> None:
        for label, sentence in event["lines"]:
            console.print(labelled(label, sentence))

    def _on_probe(self, event: Event) -> None:
        console.print(labelled("probe", event["text"], "dim"))

    def _on_plan(self, event: Event) -> None:
        value = event["value"]
        if isinstance(value, list | tuple):
            value = ", ".join(f"{each:.4g}" if isinstance(each, float) else str(each) for each in value)
        self.decisions.append(f"{event['path']} = {value}")
        self.reason = event["reason"]

    def _draw_decisions(self) -> None:
        if self.decisions:
            decided = ", ".join(self.decisions)
            console.print(labelled("plan", Text.assemble(f"{decided}  ", (self.reason, "dim"))))
        self.decisions = []

    def _on_step(self, event: Event) -> None:
        left = event.get("seconds_left")
        time = f", {left:.0f} s left" if left is not None else ""
        words = f"loss {event['loss']:.3f}{self.score}, {event['images_per_second']:.1f} images/s{time}"
        self._draw("training", event["share"], words)

    def _on_validation(self, event: Event) -> None:
        self.score = f", Dice {event['mean_dice']:.3f}"
        if not console.is_terminal:
            # a log file has no bar: say how it goes
            star = " *" if event["best"] else ""
            console.print(
                f"step     {event['step']}: validation Dice {event['mean_dice']:.4f}{star}", markup=False
            )

    def _on_end(self, event: Event) -> None:
        dice = (
            "no class could be scored"
            if event["mean_dice"] is None
            else f"mean Dice {event['mean_dice']:.4f}"
        )
        main = _MAIN.get(event["main"])
        first = f"{main} {event['main_value']:.4f}, " if main and event["main_value"] is not None else ""
        images = count(event["scored"], f"{event['subset']} image")
        self.score_line = f"{first}{dice} on {images}"
