"""Which images of a data set are meant by "test", "val", "train" and "all"."""

from collections import Counter
from collections.abc import Mapping

from uvala.data.dataset import Dataset
from uvala.data.sample import Sample
from uvala.errors import SplitError, did_you_mean

__all__ = ["SUBSETS", "require_subset", "samples_of"]

SUBSETS = ("test", "val", "train", "all")


def require_subset(subset: str) -> None:
    """SplitError, with the nearest name, unless `subset` is one of SUBSETS."""
    if subset not in SUBSETS:
        raise SplitError(found=f"subset '{subset}'", expected="a subset", fix=did_you_mean(subset, SUBSETS))


def samples_of(dataset: Dataset, subset: str, sides: Mapping[str, str], origin: str) -> tuple[Sample, ...]:
    """The samples of a subset; SplitError if it has none.

    sides: "test", "val" or "train" of each sample, by its name. origin: who says so, for the message.
    """
    require_subset(subset)
    if subset == "all":
        return dataset.samples
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
