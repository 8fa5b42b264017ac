"""What lies in a folder, scored: a run, or masks that any tool made."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from uvala.api.evaluation import Evaluation
from uvala.api.paired import holds_masks, paired_files
from uvala.api.run import load_run
from uvala.api.scoring import Gallery, Settings, evaluation_settings, score_masks
from uvala.api.subsets import samples_of
from uvala.data.dataset import read_dataset
from uvala.data.split_lists import decided_sides

__all__ = ["evaluate_masks", "evaluate_path"]


def evaluate_masks(
    masks: str | Path,
    data: str | Path,
    *,
    subset: str | None = None,
    split: str | Path | None = None,
    region: str | Path | None = None,
    settings: Settings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Scores of the masks in a folder on a data set with masks; nothing is written.

    masks: a folder with a file for each image, of its name and size, in the encoding of the data set's own
    masks (values, colours or object numbers). subset: "test", "val", "train" or "all"; None is "test" where
    the data set has one, and else all of it. split, region, settings: as in `Run.evaluate`. DataError that
    lists images without a file and files of another size, MaskError for values that mean nothing.
    """
    dataset, config = read_dataset(data), evaluation_settings(settings)
    sides, origin = decided_sides(dataset.samples, dataset.root, None if split is None else Path(split))
    if subset is None:
        subset = "test" if "test" in sides.values() else "all"
    samples = samples_of(dataset, subset, sides, "; ".join(origin) or "the data set has no split")
    gallery, regions = Gallery(), None
    if region is not None:
        regions = paired_files(Path(region).expanduser(), dataset, samples, what="fields of view")
    scores = score_masks(
        paired_files(Path(masks).expanduser(), dataset, samples, what="masks"),
        dataset,
        samples,
        subset=subset,
        gallery=gallery,
        progress=progress,
        settings=config,
        regions=regions,
    )
    return Evaluation(scores, dataset, gallery)


def evaluate_path(
    path: str | Path,
    data: str | Path,
    *,
    subset: str | None = None,
    split: str | Path | None = None,
    region: str | Path | None = None,
    settings: Settings | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """The evaluation of what lies at `path`: a run folder, or a folder of masks. Arguments as for either."""
    score: Callable[..., Evaluation] = partial(evaluate_masks, path)
    if not holds_masks(Path(path).expanduser()):
        score = load_run(path, device=device).evaluation
    return score(data, subset=subset, split=split, region=region, settings=settings, progress=progress)
