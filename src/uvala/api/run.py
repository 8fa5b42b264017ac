"""A trained network in Python: load it, predict with it, score it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from numpy.typing import ArrayLike

from uvala.api.scoring import score_samples
from uvala.data.dataset import Dataset, read_dataset
from uvala.data.sample import Sample
from uvala.data.split_lists import decided_sides
from uvala.errors import SplitError, did_you_mean
from uvala.evaluation.scores import Scores
from uvala.files import claim_folder
from uvala.plan.schema import Plan
from uvala.prediction.engine import Prediction, Predictor, as_channels_first
from uvala.prediction.folder import Failure, Output, find_inputs, predict_files
from uvala.runs.card import Card
from uvala.runs.folder import RunFolder, open_run

__all__ = ["SUBSETS", "Run", "load_run"]

SUBSETS = ("test", "val", "train", "all")


@dataclass(frozen=True)
class Run:
    """A trained network, its plan and its scores, in the folder that training wrote.

    device: "auto", "cpu", "cuda" or "mps"; where predictions are computed.
    """

    folder: RunFolder
    device: str = "auto"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def card(self) -> Card:
        """The model card: network, classes, encoding, normalisation, versions."""
        return self.folder.card

    @property
    def plan(self) -> Plan:
        """Every setting of the training."""
        return self.folder.plan

    @property
    def report(self) -> Path:
        """The page about this run."""
        return self.folder.report_path

    @cached_property
    def predictor(self) -> Predictor:
        """The network with its weights, loaded at first use."""
        return Predictor(self.folder, self.device)

    def predict(self, image: ArrayLike) -> Prediction:
        """The prediction for one image of any size.

        image: [H, W] or [H, W, C], any real dtype, in the units of the images trained on. ShapeError if it
        has other dimensions or another number of channels.
        """
        return self.predictor(as_channels_first(image))

    def predict_files(
        self,
        inputs: Sequence[str | Path],
        out: str | Path,
        *,
        probabilities: bool = False,
        overlays: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[list[Output], list[Failure]]:
        """Predict files, folders and globs into the new folder `out`; what was written, what failed."""
        found = find_inputs(inputs)
        predictor = self.predictor
        claim_folder(Path(out).expanduser(), purpose="the predictions")
        results: list[Output | Failure] = []
        for result in predict_files(
            predictor, found, Path(out), probabilities=probabilities, overlays=overlays
        ):
            results.append(result)
            if progress is not None:
                progress(len(results), len(found))
        outputs = [each for each in results if isinstance(each, Output)]
        return outputs, [each for each in results if isinstance(each, Failure)]

    def evaluate(
        self,
        data: str | Path,
        *,
        subset: str = "test",
        split: str | Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Scores:
        """Scores of the network on a data set with masks.

        subset: "test", "val", "train" or "all". split: a JSON file with lists of names under these. Without
        it, images that the run trained on or chose its weights by are known again by their pixels, whatever
        they are called now, and "test" is every image that is neither; a data set of which it knows no image
        is split as its own folders or lists say. SplitError if the subset has no images.
        """
        dataset = self._dataset(data)
        samples = self._samples(dataset, subset, None if split is None else Path(split))
        return score_samples(self.predictor, dataset, samples, subset=subset, progress=progress)

    def _dataset(self, data: str | Path) -> Dataset:
        channels = self.card.data.channels
        if self.card.data.imported:
            # its network knows nothing of masks: those of the data say for themselves what they mean
            dataset = read_dataset(data, channels=channels)
            if dataset.encoding.num_classes == self.card.network.num_classes:
                return dataset
        return read_dataset(data, encoding=self.card.encoding, channels=channels)

    def _samples(self, dataset: Dataset, subset: str, file: Path | None) -> tuple[Sample, ...]:
        if subset not in SUBSETS:
            raise SplitError(
                found=f"subset '{subset}'", expected="a subset", fix=did_you_mean(subset, SUBSETS)
            )
        if subset == "all":
            return dataset.samples
        sides, origin = self._sides(dataset, file)
        chosen = tuple(sample for sample in dataset.samples if sides.get(sample.name) == subset)
        if not chosen:
            counts = Counter(sides.values())
            others = [f"--subset {side} ({counts[side]})" for side in SUBSETS if counts[side]]
            raise SplitError(
                found=f"no image of the subset '{subset}' in {dataset.root} ({origin})",
                expected="at least one",
                fix=f"choose {', '.join([*others, '--subset all'])}",
            )
        return chosen

    def _sides(self, dataset: Dataset, file: Path | None) -> tuple[dict[str, str], str]:
        """Which subset each image belongs to, and who says so."""
        decided, origin = decided_sides(dataset.samples, dataset.root, file)
        split, contents = self.folder.split, self.folder.contents
        used = {contents.get(name): side for side in ("train", "val") for name in getattr(split, side)}
        known = {name: used[content] for name, content in dataset.contents.items() if content in used}
        if file is not None or (decided and not known):
            return decided, "; ".join(origin)
        fresh = dict.fromkeys((sample.name for sample in dataset.samples), "test")
        return fresh | known, "test is what the run neither trained on nor chose its weights by"


def load_run(path: str | Path, *, device: str = "auto") -> Run:
    """The run in a folder; RunError if there is none, or if another version wrote it."""
    return Run(open_run(path), device)
