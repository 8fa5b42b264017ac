"""A trained network in Python: load it, predict with it, score it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from uvala.api.evaluation import Evaluation
from uvala.api.paired import paired_files
from uvala.api.predicting import predict_paths
from uvala.api.scoring import Gallery, Settings, evaluation_settings, score_samples
from uvala.api.subsets import require_subset, samples_of
from uvala.config import flat
from uvala.data.dataset import Dataset, read_dataset
from uvala.data.split_lists import decided_sides
from uvala.errors import ConfigError
from uvala.evaluation.scores import Scores
from uvala.plan.schema import Plan
from uvala.prediction.adjust import adjusted
from uvala.prediction.engine import Prediction, Predictor, as_channels_first
from uvala.prediction.execution import parse_memory
from uvala.prediction.folder import Failure, Output
from uvala.prediction.large import Watch
from uvala.prediction.objects import object_kinds
from uvala.prediction.wanted import FileFormat, Precision, Wanted
from uvala.runs.card import Card
from uvala.runs.folder import RunFolder, open_run
from uvala.tiling.test_time_config import TestTimeConfig
from uvala.tiling.tta import views_of
from uvala.training.allocator import keep_freed_memory

__all__ = ["Run", "load_run"]


@dataclass(frozen=True)
class Run:
    """A trained network, its plan and its scores, in the folder that training wrote.

    device: "auto", "cpu", "cuda" or "mps"; where predictions are computed. test_time: whether an image is
    also predicted mirrored and turned, as far as it was while training, and the results averaged; None: as
    the plan says. backend: what computes the network, "torch", another of those installed, or "auto" for the
    fastest of them. memory: bytes that predicting may take besides the weights. others: runs whose networks
    are averaged with this one's. settings: how images are cut and objects are found, where it shall not be as
    the run says: dotted paths of `prediction.adjust.Adjustable`, such as {"objects.min_size": 50}.
    """

    folder: RunFolder
    device: str = "auto"
    test_time: bool | None = None
    backend: str = "torch"
    memory: int | None = None
    others: tuple[RunFolder, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

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
        keep_freed_memory()
        return Predictor(
            (self.folder, *self.others),
            self.device,
            test_time=self._views,
            settings=self.settings,
            backend=self.backend,
            memory=self.memory,
        )

    @property
    def _views(self) -> TestTimeConfig | None:
        """Which views are averaged; None: those that the card names. ConfigError if there are none to be."""
        if self.test_time is None:
            return None
        seen = self.plan.augment
        asked = {name: self.test_time and getattr(seen, name) for name in TestTimeConfig.model_fields}
        views = TestTimeConfig(**asked)
        if self.test_time and len(views_of(views)) == 1:
            raise ConfigError(
                found=f"--tta with {self.path}, which was trained without flips and quarter turns",
                expected="a network that knows mirrored or turned images",
                fix="leave --tta out",
            )
        return views

    def predict(self, image: ArrayLike, *, spread: bool = False) -> Prediction:
        """The prediction for one image of any size.

        image: [H, W] or [H, W, C], any real dtype, in the units of the images trained on. ShapeError if it
        has other dimensions or another number of channels. spread: whether it shall know where views and
        networks disagree.
        """
        return self.predictor(as_channels_first(image), spread=spread)

    def predict_files(
        self,
        inputs: str | Path | Sequence[str | Path],
        out: str | Path,
        *,
        probabilities: bool = False,
        overlays: bool = False,
        objects: str | Sequence[str] = (),
        uncertainty: bool = False,
        format: FileFormat = "auto",
        precision: Precision = "auto",
        resume: bool = False,
        progress: Callable[[int, int], None] | None = None,
        watch: Watch | None = None,
    ) -> tuple[list[Output], list[Failure]]:
        """Predict files, folders and globs into the new folder `out`; what was written, what failed.

        objects: what to write objects as, some of "labels", "geojson", "coco" and "csv"; UnknownNameError for
        anything else. uncertainty, format, precision: as of `Wanted`. resume: go on with an interrupted
        prediction of the same model and options; what is done is not done again. progress: hears of images
        that are done, of how many; watch: of the pixels in between.
        """
        wanted = Wanted(
            probabilities=probabilities,
            overlays=overlays,
            objects=object_kinds([objects] if isinstance(objects, str) else objects),
            uncertainty=uncertainty,
            format=format,
            precision=precision,
        )
        return predict_paths(
            self.predictor,
            [inputs] if isinstance(inputs, str | Path) else inputs,
            out,
            wanted,
            resume=resume,
            memory=self.memory,
            progress=progress,
            watch=watch,
        )

    def evaluate(
        self,
        data: str | Path,
        *,
        subset: str = "test",
        split: str | Path | None = None,
        task: str | None = None,
        region: str | Path | None = None,
        spacing: float | tuple[float, float] | str | None = None,
        unit: str | None = None,
        tolerance: float | None = None,
        settings: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Scores:
        """Scores of the network on a data set with masks.

        subset: "test", "val", "train" or "all". split: a JSON file with lists of names under these. Without
        it, images that the run trained on or chose its weights by are known again by their pixels, whatever
        they are called now, and "test" is every image that is neither; a data set of which it knows no image
        is split as its own folders or lists say. SplitError if the subset has no images.

        task: "semantic", "membranes" or "instances"; None: what the masks ask for. region: a folder with the
        field of view of each image, 0 where pixels do not count; DataError if one is missing. spacing, unit,
        tolerance, settings: as in `EvaluationConfig`. out: a folder for scores.json, scores.csv and
        report.html; None writes nothing.
        """
        config = evaluation_settings(settings, task=task, spacing=spacing, unit=unit, tolerance=tolerance)
        evaluation = self.evaluation(
            data, subset=subset, split=split, region=region, settings=config, progress=progress
        )
        if out is not None:
            evaluation.write(Path(out).expanduser())
        return evaluation.scores

    def evaluation(
        self,
        data: str | Path,
        *,
        subset: str | None = None,
        split: str | Path | None = None,
        region: str | Path | None = None,
        settings: Settings | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Evaluation:
        """The scores as `evaluate` makes them, with the pictures that a report wants; nothing is written."""
        subset = "test" if subset is None else subset
        require_subset(subset)
        config, dataset = evaluation_settings(settings), self._dataset(data)
        sides = (
            ({}, "")
            if subset == "all"
            else self._sides(dataset, None if split is None else Path(split).expanduser())
        )
        samples = samples_of(dataset, subset, *sides)
        regions = None
        if region is not None:
            regions = paired_files(Path(region).expanduser(), dataset, samples, what="fields of view")
        gallery = Gallery()
        scores = score_samples(
            self.predictor,
            dataset,
            samples,
            subset=subset,
            gallery=gallery,
            progress=progress,
            settings=config,
            regions=regions,
        )
        return Evaluation(scores, dataset, gallery, self.folder)

    def _dataset(self, data: str | Path) -> Dataset:
        channels = self.card.data.channels
        if self.card.data.imported:
            # its network knows nothing of masks: those of the data say for themselves what they mean
            dataset = read_dataset(data, channels=channels)
            if dataset.encoding.num_classes == self.card.network.num_classes:
                return dataset
        return read_dataset(data, encoding=self.card.encoding, channels=channels)

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


def load_run(
    path: str | Path,
    *,
    device: str = "auto",
    test_time: bool | None = None,
    backend: str = "torch",
    memory: int | str | None = None,
    others: Sequence[str | Path] = (),
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """The run in a folder; RunError if there is none, or if another version wrote it.

    device, test_time, backend, settings: as of `Run`. memory: likewise, or an amount such as "2GB". others:
    folders of runs whose networks are averaged with this one's; RunError where they do not have the same
    channels and classes. ConfigError for an amount or settings that cannot be.
    """
    folder, averaged = open_run(path), tuple(open_run(each) for each in others)
    adjustments = flat(settings or {})
    adjusted(folder.card, adjustments)
    ceiling = None if memory is None else parse_memory(str(memory))
    return Run(folder, device, test_time, backend, ceiling, averaged, adjustments)
