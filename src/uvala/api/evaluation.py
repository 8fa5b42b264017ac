"""An evaluation with all that its report wants, and where it is written."""

from dataclasses import dataclass
from pathlib import Path

from uvala.api.reporting import write_masks_report, write_run_report
from uvala.api.scoring import Gallery
from uvala.data.dataset import Dataset
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
        """RUN/evaluations/DATA-SUBSET, which an evaluation of the same replaces; None without a run."""
        if self.run is None:
            return None
        root = self.dataset.root.resolve()
        name = root.stem if root.is_file() else root.name
        return self.run.path / "evaluations" / f"{name}-{self.scores.subset}"

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
