"""What one look at all files of a data set tells; the data set and its check are made from it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from uvala.data.dataset_toml import DatasetToml, read_dataset_toml
from uvala.data.image_facts import ImageFacts
from uvala.data.layouts import Unpaired, recognise
from uvala.data.mask_facts import MaskFacts
from uvala.data.sample import Sample
from uvala.data.scan import Progress, SampleFacts, file_name, scan

__all__ = ["Survey", "natural_key", "survey_data"]


@dataclass(frozen=True, eq=False)
class Survey:
    """What lies in a data set, before it is judged.

    root: its folder. evidence: why its layout was taken for what it is. facts: of each pair.
    """

    root: Path
    layout: str
    evidence: str
    class_names: tuple[str, ...] | None
    toml: DatasetToml
    facts: tuple[SampleFacts, ...]
    unpaired: tuple[Unpaired, ...]

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The pairs of image and mask."""
        return tuple(each.sample for each in self.facts)

    @property
    def images(self) -> dict[str, ImageFacts]:
        """The images that can be read, by sample name."""
        return {each.sample.name: each.image for each in self.facts if each.image is not None}

    def image_files(self, names: Iterable[str]) -> tuple[str, ...]:
        """The image files of some samples, relative to the data set."""
        source_of = {each.sample.name: each.sample.image for each in self.facts}
        return tuple(file_name(source_of[name], self.root) for name in names)

    @property
    def masks(self) -> tuple[MaskFacts, ...]:
        """The masks that can be read."""
        return tuple(each.mask for each in self.facts if each.mask is not None)


def survey_data(data: Path, *, channels: int | None = None, progress: Progress | None = None) -> Survey:
    """A survey of the data set in a folder, or of the manifest in a CSV file.

    channels: what images are to be converted to; dataset.toml decides where it is None. LayoutError if
    nothing can be recognised, ConfigError if dataset.toml is wrong; an unreadable file is no error here.
    """
    root = data if data.is_dir() else data.parent
    toml = read_dataset_toml(data)
    found = recognise(data)
    paired = [sample for sample in found.samples if sample.mask]
    alone = [Unpaired(each.image.path, "image without a mask") for each in found.samples if not each.mask]
    grouped = [replace(sample, group=toml.group_of(sample.name) or sample.group) for sample in paired]
    # as people count: frame 2 before frame 10, so that neighbours in this order are neighbours in a series
    samples = sorted(grouped, key=lambda sample: natural_key(sample.name))
    return Survey(
        root=root,
        layout=found.layout,
        evidence=found.evidence,
        class_names=found.class_names,
        toml=toml,
        facts=scan(samples, root, channels=channels or toml.channels, progress=progress),
        unpaired=(*found.unpaired, *alone),
    )


def natural_key(name: str) -> list[tuple[bool, int, str]]:
    """Sorts names with the numbers in them counted: "a2" before "a10"."""
    return [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)
    ]
