"""An evaluation with all that its report wants, and where it is written."""

from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from uvala.api.reporting import write_masks_report, write_run_report
from uvala.api.scoring import Gallery
from uvala.data.dataset import Dataset
from uvala.errors import RunError
from uvala.evaluation.scores import Scores
from uvala.evaluation.tables import write_csv
from uvala.runs.folder import RunFolder

__all__ = ["Evaluation"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of some images of a data set. run: whose predictions they are; None for another tool's masks."""

    scores: Scores
    dataset: Dataset
    gallery: Gallery
    run: RunFolder | None = None

    @property
    def default_folder(self) -> Path | None:
        """RUN/evaluations/DATA-SUBSET, which an evaluation of the same replaces; None without a run.

        The same: the same pixels of the same images, for the same task. Where something else lies there, such
        as an evaluation of another data set of that name, DATA-SUBSET-2, then -3 and so on.
        """
        if self.run is None:
            return None
        root = self.dataset.root.resolve()
        name = root.stem if root.is_file() else root.name
        first = self.run.path / "evaluations" / f"{name}-{self.scores.subset}"
        numbered = (first.with_name(f"{first.name}-{number}") for number in count(2))
        return next(folder for folder in chain([first], numbered) if self._may_replace(folder))

    def _may_replace(self, folder: Path) -> bool:
        """Whether `folder` holds no evaluation, or an earlier one of the same."""
        file = folder / "scores.json"
        if not file.exists():
            return True
        try:
            return _scored(Scores.from_json(file)) == _scored(self.scores)
        except RunError:  # of another version, or of another tool
            return False

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Write scores.json, scores.csv and report.html into `folder`; the files.

        What an earlier evaluation wrote there is replaced. StorageError if the disk says no.
        """
        scores, table, page = (folder / name for name in ("scores.json", "scores.csv", "report.html"))
        self.scores.to_json(scores)
        write_csv(self.scores, table)
        if self.run is None:
            write_masks_report(self.dataset, self.scores, self.gallery, page)
        else:
            write_run_report(self.run, self.dataset, self.scores, self.gallery, page)
        return scores, table, page


def _scored(scores: Scores) -> tuple[str, frozenset[tuple[str, str, int]]]:
    """What was scored. The pixels counted of an image tell one region from another."""
    return scores.task, frozenset((image.name, image.content, image.pixels) for image in scores.images)
