"""What the scores of objects and cells mean, as sentences."""

from collections.abc import Sequence

from uvala.evaluation.scores import ObjectScores, PartitionScores, Scores, SizeRecall
from uvala.report.measures import measure_named
from uvala.report.sentences import listed, percent, plural

__all__ = ["cell_words", "error_words", "object_words", "size_words", "split_or_merge_words"]

UNEVEN = 0.1  # recall of two sizes further apart than this is worth a sentence
FEW_OBJECTS = 10  # true objects of a size; the recall of fewer is chance
ONE_SIDED = 1.5  # times as many errors of one kind: more than of the other


_ERRORS = {
    "missed": "Missing an object",
    "cut into several": "Cutting one into several",
    "where there is none": "Seeing one where there is none",
    "across several": "Joining neighbours",
}


def object_words(objects: ObjectScores) -> str:
    """How many of 100 objects are found, how many of 100 drawn are wrong, and how well they are counted."""
    if not objects.true_objects:
        return f"There are no true objects, and it draws {objects.predicted_objects:,}."
    found = _found(objects)
    if found is None:
        return ""
    spurious = 1.0 - found / objects.predicted_objects if objects.predicted_objects else 0.0
    excess = objects.predicted_objects / objects.true_objects - 1.0
    counted = (
        "as many as there are"
        if objects.predicted_objects == objects.true_objects
        else f"{percent(abs(excess))} too {'many' if excess > 0 else 'few'}"
    )
    drawn = plural(objects.predicted_objects, "object")
    return (
        f"Of 100 objects it finds {_of_100(found / objects.true_objects)} (IoU above 0.5), and of 100"
        f" that it draws {_of_100(spurious)} match none. It counts {drawn}, {counted}."
    )


def _found(objects: ObjectScores) -> int | None:
    """True objects that are matched at an IoU of 0.5."""
    at = [index for index, threshold in enumerate(objects.thresholds) if abs(threshold - 0.5) < 1e-6]
    return objects.true_positives[at[0]] if at else None


def _of_100(share: float) -> str:
    """A share as "87" of a hundred; what is not nothing is not called 0, nor what is not all 100."""
    number = round(100 * share)
    if number == 0 and share > 0:
        return "fewer than 1"
    return "more than 99" if number == 100 and share < 1 else str(number)


def cell_words(scores: Scores) -> str:
    """What the parts of V_rand say about two pixels of one cell; empty if they are not known."""
    parts = _split_and_merge(scores)
    if parts is None:
        return ""
    split, merge = parts
    return (
        f"Of pairs of pixels within one cell, the prediction keeps {percent(split)} together; of pairs that"
        f" it puts into one cell, {percent(merge)} belong together."
    )


def _split_and_merge(scores: Scores) -> tuple[float, float] | None:
    """The parts of V_rand of the model's own objects, or else at its own threshold."""
    named = [measure_named(scores, f"v_rand_{part}") for part in ("split", "merge")]
    values = [each.mean for each in named if each is not None and each.mean is not None]
    if len(values) == 2:
        return values[0], values[1]
    return _at_threshold(scores.partition) if scores.partition else None


def _at_threshold(partition: PartitionScores) -> tuple[float, float] | None:
    curve = partition.plain
    nearest = sorted(
        range(len(curve.thresholds)), key=lambda at: abs(curve.thresholds[at] - partition.chosen_threshold)
    )
    for at in nearest[:1]:
        split, merge = curve.v_rand_split[at], curve.v_rand_merge[at]
        if split is not None and merge is not None:
            return split, merge
    return None


def split_or_merge_words(scores: Scores) -> str:
    """Whether cells are split or merged more, by the parts of V_rand; empty if they are not known."""
    parts = _split_and_merge(scores)
    if parts is None:
        return ""
    splits, merges = 1.0 - parts[0], 1.0 - parts[1]
    if max(splits, merges) <= 0.0:
        return "It neither splits nor merges cells."
    if merges > ONE_SIDED * splits:
        return "It merges cells more than it splits them: gaps in the membranes cost it most."
    if splits > ONE_SIDED * merges:
        return "It splits cells more than it merges them: membranes where there are none cost it most."
    return "It splits cells about as much as it merges them."


def error_words(objects: ObjectScores) -> str:
    """How many objects are missed, spurious, split and merged, and which of these is the commonest."""
    true = [(objects.missed, "missed"), (objects.split, "cut into several")]
    predicted = [(objects.spurious, "where there is none"), (objects.merged, "across several")]
    kinds = [(number, words) for number, words in (*true, *predicted) if number]
    if not kinds:
        return "No object is missed, spurious, split or merged."
    parts = [
        f"of {total} {listed([f'{number:,} {_are(number)} {words}' for number, words in found])}"
        for total, counted in (
            (plural(objects.true_objects, "true object"), true),
            (plural(objects.predicted_objects, "predicted object"), predicted),
        )
        if (found := [pair for pair in counted if pair[0]])
    ]
    said = "; ".join(parts)
    worst = f" {_ERRORS[max(kinds)[1]]} is the most frequent error." if len(kinds) > 1 else ""
    return f"{said[0].upper()}{said[1:]}.{worst}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def size_words(sizes: Sequence[SizeRecall]) -> str:
    """Which sizes of objects are found worst, if sizes differ."""
    known = [size for size in sizes if size.objects >= FEW_OBJECTS]
    if len(known) < 2:
        return ""
    recall = {size: size.found / size.objects for size in known}
    worst = min(known, key=lambda size: recall[size])
    others = [size for size in known if size is not worst]
    rest = sum(size.found for size in others) / sum(size.objects for size in others)
    if rest - recall[worst] < UNEVEN:
        low, high = min(recall.values()), max(recall.values())
        return f"Size matters little: of each size it finds {percent(low)} to {percent(high)}."
    return (
        f"Of objects of {worst.smallest:,} to {worst.largest:,} pixels it finds {percent(recall[worst])}, of"
        f" those of other sizes {percent(rest)}."
    )
