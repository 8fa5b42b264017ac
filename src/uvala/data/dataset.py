"""A data set that can be trained on or scored: pairs of image and mask, and how they are read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from uvala.arrays import ClassMap, ImageArray, LabelMap, Size
from uvala.data.channels import convert_channels
from uvala.data.duplicates import exact_duplicates, join_groups, near_duplicates
from uvala.data.encoding_table import class_pixels, encoding_table, strange_values
from uvala.data.facts import Facts, gather_facts
from uvala.data.file_findings import blocking_findings
from uvala.data.find_encoding import FoundEncoding, find_encoding
from uvala.data.finding import as_error
from uvala.data.mask_facts import MaskFacts
from uvala.data.masks import ClassEntry, EncodingRow, MaskEncoding, object_labels
from uvala.data.sample import Sample
from uvala.data.scan import Progress, file_name
from uvala.data.survey import Survey, survey_data
from uvala.data.wording import count, name_some
from uvala.errors import MaskError, SplitError
from uvala.images.read import RawMask, Source, read_image, read_mask

__all__ = ["Dataset", "convert_channels", "read_dataset"]

_YES = {1, 255, 65535}
"""What a mask of two classes has for the one that is looked for: the largest value of 1, 8 and 16 bits."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pairs of image and mask, and what was found out about them.

    table: how the masks are read, row by row. channels: of the images as `image` returns them;
    channels_wanted: 1 or 3 where they are converted to that. sizes, present: of each sample, by its name: the
    image's size, and the classes in its mask. copies: samples whose images are the same or nearly so. notes:
    what a user should be told.
    """

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    encoding: MaskEncoding
    table: tuple[EncodingRow, ...]
    channels: int
    channels_wanted: int | None
    dtype: str
    sizes: Mapping[str, Size]
    present: Mapping[str, frozenset[int]]
    copies: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    survey: Survey

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        names = ", ".join(self.encoding.names)
        return f"Dataset({str(self.root)!r}, {len(self)} images, {self.channels} channels, classes {names})"

    @cached_property
    def contents(self) -> dict[str, str]:
        """A hash of the pixels of each image, by its sample's name."""
        return {name: facts.content for name, facts in self.survey.images.items()}

    @cached_property
    def mask_contents(self) -> dict[str, str]:
        """A hash of the values of each mask, by its sample's name."""
        return {each.sample.name: each.mask.content for each in self.survey.facts if each.mask is not None}

    @cached_property
    def facts(self) -> Facts:
        """What all images and masks are like."""
        return self.facts_of(self.samples)

    def facts_of(self, samples: Iterable[Sample]) -> Facts:
        """What the images and masks of some samples are like."""
        wanted = {sample.name for sample in samples}
        chosen = [each for each in self.survey.facts if each.sample.name in wanted]
        images = [each.image for each in chosen if each.image is not None]
        masks = [each.mask for each in chosen if each.mask is not None]
        return gather_facts(images, masks, self.encoding, self.channels)

    def subset(self, names: Iterable[str]) -> tuple[Sample, ...]:
        """The samples with these names, in their order in the data set; SplitError for an unknown name."""
        wanted = set(names)
        unknown = wanted - self.sizes.keys()
        if unknown:
            raise SplitError(
                found=f"no image {name_some(sorted(unknown))} in {self.root}",
                expected="all images of the split",
                fix="bring them back, or make a new split",
            )
        return tuple(sample for sample in self.samples if sample.name in wanted)

    def image(self, sample: Sample) -> ImageArray:
        """The image [C, H, W] in the dtype of its file, upright, with `channels` channels."""
        return convert_channels(read_image(sample.image).array, self.channels_wanted)

    def classes(self, sample: Sample) -> ClassMap:
        """Class indices, uint8 [H, W], 255 where pixels are to be ignored."""
        masks = self._masks(sample)
        if isinstance(sample.mask, tuple):
            return (object_labels(masks) > 0).astype(np.uint8)
        return self.encoding.decode(masks[0], self._mask_name(sample))

    def instances(self, sample: Sample) -> LabelMap | None:
        """Object numbers, int32 [H, W], 0 for background; None where the masks name classes only."""
        if self.encoding.kind != "instances":
            return None
        masks = self._masks(sample)
        if isinstance(sample.mask, tuple):
            return object_labels(masks)
        return self.encoding.labels(masks[0], self._mask_name(sample))

    def _masks(self, sample: Sample) -> list[RawMask]:
        sources = (sample.mask,) if isinstance(sample.mask, Source) else sample.mask or ()
        return [read_mask(source) for source in sources]

    def _mask_name(self, sample: Sample) -> str:
        assert isinstance(sample.mask, Source)
        return file_name(sample.mask, self.root)


def read_dataset(
    data: str | Path,
    *,
    encoding: MaskEncoding | None = None,
    channels: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The data set in a folder, or of a CSV manifest, understood by looking at each of its files once.

    encoding, channels: of a trained network, which then hold instead of what is found; without them, at least
    two pairs are needed. progress: called with the samples done and all. A UvalaError (LayoutError,
    DataError, MaskError, ConfigError) says in one sentence why data cannot be used.
    """
    survey = survey_data(Path(data), channels=channels, progress=progress)
    blocking = blocking_findings(survey, fewest=2 if encoding is None else 1, channels=channels)
    if blocking:
        raise as_error(blocking)
    found = (
        find_encoding(survey.masks, survey.class_names, survey.toml)
        if encoding is None
        else _as_trained(survey.masks, encoding)
    )
    images = survey.images
    wanted = channels or survey.toml.channels
    in_files = {facts.channels for facts in images.values()}
    return Dataset(
        root=survey.root,
        layout=survey.layout,
        samples=survey.samples,
        encoding=found.encoding,
        table=encoding_table(survey.masks, found.encoding),
        channels=wanted if wanted is not None and in_files <= {1, 3} else in_files.pop(),
        channels_wanted=wanted,
        dtype=_usual([facts.dtype for facts in images.values()]),
        sizes={name: facts.size for name, facts in images.items()},
        present={
            each.sample.name: frozenset(class_pixels(each.mask, found.encoding))
            for each in survey.facts
            if each.mask is not None
        },
        copies=join_groups([*exact_duplicates(images), *near_duplicates(images)]),
        notes=_notes(survey, found),
        survey=survey,
    )


def _as_trained(masks: tuple[MaskFacts, ...], encoding: MaskEncoding) -> FoundEncoding:
    """A trained network's encoding; of two classes, 0 and 1 may be spelt 0 and 255 here, or the reverse."""
    said = "the masks are read as in training"
    other = _other_spelling(masks, encoding)
    if other is None:
        return FoundEncoding(_require(masks, encoding), (said,))
    background, foreground = encoding.classes
    both = ClassEntry(name=foreground.name, values=(*foreground.values, other))
    said += f", but {other} is taken as {foreground.name}, which was {foreground.values[0]} there"
    return FoundEncoding(MaskEncoding(**{**dict(encoding), "classes": (background, both)}), (said,))


def _other_spelling(masks: tuple[MaskFacts, ...], encoding: MaskEncoding) -> int | None:
    """What all masks hold beside 0 instead of the one value that the network learnt beside 0."""
    learnt = [entry.values for entry in encoding.classes]
    if encoding.kind != "values" or len(learnt) != 2 or learnt[0] != (0,) or len(learnt[1]) != 1:
        return None
    if any(mask.colour or mask.palette or mask.objects is not None or mask.distinct > 2 for mask in masks):
        return None
    held = {value for mask in masks for value in mask.values.tolist()}
    others = held - {0, *learnt[1], *encoding.ignore}
    certain = {*learnt[1], *others} <= _YES and len(others) == 1 and held == {0, *others}
    return others.pop() if certain else None


def _require(masks: tuple[MaskFacts, ...], encoding: MaskEncoding) -> MaskEncoding:
    """`encoding`, if it explains all masks; MaskError naming those that it does not."""
    if encoding.snap:
        return encoding
    strange = {mask.name: strange_values(mask, encoding) for mask in masks if mask.objects is None}
    odd = [mask for mask in masks if strange.get(mask.name)]
    if not odd:
        return encoding
    values = dict.fromkeys(
        f"#{value:06x}" if mask.colour or encoding.kind == "colours" else str(value)
        for mask in odd
        for value in sorted(strange[mask.name])
    )
    known = [f"{encoding.spell(entry.values[0])} ({entry.name})" for entry in encoding.classes]
    noun = "colour" if encoding.kind == "colours" else "number"
    raise MaskError(
        found=f"{'value' if len(values) == 1 else 'values'} {name_some(values)} in "
        f"{count(len(odd), 'mask')}: {name_some(mask.name for mask in odd)}",
        expected=f"the values that the network was trained on: {name_some(known, 8)}",
        fix=f"save these masks with the {noun} that each class has there, or train on masks such as these",
    )


def _usual(values: list[str]) -> str:
    return max(dict.fromkeys(values), key=values.count)


def _notes(survey: Survey, found: FoundEncoding) -> tuple[str, ...]:
    notes = [survey.evidence, *found.evidence]
    if survey.unpaired:
        first = survey.unpaired[0]
        notes.append(
            f"{count(len(survey.unpaired), 'file')} not used, such as {first.path.name}: {first.reason}"
        )
    read = dict.fromkeys(
        note for each in survey.facts for part in (each.image, each.mask) if part for note in part.notes
    )
    return (*notes, *read)
