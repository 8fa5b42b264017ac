"""The mask doctor: looks at every file of a data set and says what is wrong, where, and what to do."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import Field

from uvala.config import Config
from uvala.data.encoding_table import encoding_table
from uvala.data.file_findings import blocking_findings, file_findings
from uvala.data.find_encoding import FoundEncoding, find_encoding
from uvala.data.finding import Finding, from_error
from uvala.data.mask_findings import duplicate_findings, mask_findings, split_findings
from uvala.data.masks import EncodingRow, MaskEncoding
from uvala.data.scan import Progress
from uvala.data.split_lists import SIDES, decided_sides
from uvala.data.survey import Survey, survey_data
from uvala.errors import ConfigError, DataError, MaskError, SplitError

__all__ = ["CheckReport", "check"]

_ORDER = ("error", "warning", "note")


class CheckReport(Config):
    """What the doctor found."""

    data: str = Field(description="the data set that was checked")
    layout: str = Field("", description="how images and masks are arranged")
    samples: int = Field(0, description="pairs of image and mask")
    evidence: tuple[str, ...] = Field((), description="why layout and masks were understood as they were")
    encoding: MaskEncoding | None = Field(None, description="how the masks are read, if they can be")
    table: tuple[EncodingRow, ...] = Field(
        (), description="value, class, share of pixels, images, for each class"
    )
    findings: tuple[Finding, ...] = Field((), description="errors first, then warnings, then notes")
    seconds: float = Field(0.0, description="time that the check took")

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What stops or spoils a training."""
        return self._with("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What somebody should look at."""
        return self._with("warning")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is good to know."""
        return self._with("note")

    def to_json(self) -> dict[str, Any]:
        """Everything, all file names included, as plain values for JSON."""
        return self.model_dump(mode="json")

    def _with(self, severity: str) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.severity == severity)


def check(data: str | Path, progress: Progress | None = None) -> CheckReport:
    """What is wrong with a data set. Whatever the data are, this returns: a refusal is a finding as well.

    progress: called with the samples done and all samples.
    """
    began = time.perf_counter()
    try:
        survey = survey_data(Path(data), progress=progress)
    except (DataError, ConfigError) as error:
        kind = "config" if isinstance(error, ConfigError) else "layout"
        return CheckReport(
            data=str(data), findings=(from_error(kind, error),), seconds=time.perf_counter() - began
        )
    found, findings, split = _examine(survey)
    findings.sort(key=lambda each: _ORDER.index(each.severity))
    return CheckReport(
        data=str(data),
        layout=survey.layout,
        samples=len(survey.facts),
        evidence=(survey.evidence, *(found.evidence if found else ()), *split),
        encoding=found.encoding if found else None,
        table=encoding_table(survey.masks, found.encoding) if found else (),
        findings=tuple(findings),
        seconds=time.perf_counter() - began,
    )


def _examine(survey: Survey) -> tuple[FoundEncoding | None, list[Finding], list[str]]:
    """How the masks are read, what was found, and where the split comes from if somebody decided it."""
    findings = [*blocking_findings(survey), *file_findings(survey)]
    found = None
    if survey.masks:
        try:
            found = find_encoding(survey.masks, survey.class_names, survey.toml)
            findings += mask_findings(survey, found)
        except (MaskError, ConfigError) as error:
            findings.append(from_error("masks", error, getattr(error, "files", ())))
    sides: dict[str, str] = {}
    split: list[str] = []
    try:
        sides, origin = decided_sides(survey.samples, survey.root)
        split = [_told_split(sides, origin)] if sides else []
    except SplitError as error:
        findings.append(from_error("split", error))
    findings += split_findings(survey.samples, sides) + duplicate_findings(survey, sides)
    return found, findings, split


def _told_split(sides: dict[str, str], origin: list[str]) -> str:
    numbers = Counter(sides.values())
    shown = ", ".join(f"{numbers[side]:,} in {side}" for side in SIDES if numbers[side])
    lacking = "" if "val" in numbers else "; val will be drawn from those that are trained on"
    return f"split: {'; '.join(origin)}, {shown}{lacking}"
