"""A run becomes a file for other programs, which is tried before it gets its name."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm
from pathlib import Path
from typing import Any

import uvala
from uvala.arrays import Size
from uvala.errors import ConfigError, RunError, StorageError
from uvala.export.bioimage import ONNX_NAME, write_bioimage
from uvala.export.config import ExportConfig
from uvala.export.dice import DiceLoss, require_dice, require_images, validation_dice
from uvala.export.module import NamedOutputs, WholeNetwork
from uvala.export.onnx_file import onnx_model, with_card
from uvala.export.openvino_file import openvino_model, save_openvino
from uvala.export.quantise import quantised
from uvala.export.torch_file import open_own, write_torch
from uvala.export.trials import TRIAL_SIDE, RunImages, run_images, trials
from uvala.export.verify import Verification, require_agreement, verify
from uvala.files import making, storage_errors, sync, write_json
from uvala.models.facts import measure
from uvala.prediction.engine import Predictor
from uvala.prediction.ensemble import Member
from uvala.prediction.file_card import MASK, PROBABILITIES, FileCard
from uvala.prediction.file_kinds import SUFFIXES
from uvala.prediction.session import Session, open_session
from uvala.runs.folder import RunFolder
from uvala.tiling.geometry import up
from uvala.tiling.test_time_config import TestTimeConfig
from uvala.tiling.whole import NotLocal, survey

__all__ = ["Exported", "export_run"]


@dataclass(frozen=True)
class Exported:
    """A file that was written. report: the JSON beside it, with what the comparison found.

    dice: on the validation images, of PyTorch and of the file with 8 bits.
    """

    path: Path
    report: Path
    card: FileCard
    verification: Verification
    dice: DiceLoss | None = None


def export_run(run: RunFolder, out: Path, config: ExportConfig) -> Exported:
    """Write the network of a run, or the mean of those of its folds, as a file for another program.

    The file is written under another name, run by the program that will use it, and compared with PyTorch;
    only if it agrees does it get its name, with a JSON of the comparison beside it. Raises BackendError where
    it disagrees or a package is missing, ConfigError for what does not go together, StorageError if `out` is
    taken.
    """
    out = Path(out).expanduser()
    _require_sense(out, config)
    run = _chosen(run, config)
    found = run_images(run)
    if config.int8:
        require_images(found)
    # a file sees the trials in one piece; a run that blends tiles even of these would say something else
    whole = {"tiles.whole_below": max(run.card.tiles.whole_below, TRIAL_SIDE**2)}
    predictor = Predictor(run, "cpu", test_time=TestTimeConfig(), settings=whole)
    card = _file_card(run, predictor.used, config)
    network = WholeNetwork(predictor.used)
    with making(out) as folder:
        work = _Work(run, network, predictor.used, card, found, config, folder / out.name)
        session = work.written()
        tried = verify(session, predictor, trials(found, run.card, card.multiple), found.words)
        require_agreement(tried, config)
        dice = None
        if config.int8:
            dice = validation_dice(session, predictor, found)
            require_dice(dice, config)
        return _placed(work.path, out, card, tried, dice)


@dataclass(frozen=True, eq=False)
class _Work:
    """What a file is made of, and where it is written until it has proved itself."""

    run: RunFolder
    network: WholeNetwork
    members: Sequence[Member]
    card: FileCard
    found: RunImages
    config: ExportConfig
    path: Path

    def written(self) -> Session:
        """Write the file and open it as its users will."""
        return {
            "onnx": self._onnx,
            "openvino": self._openvino,
            "torch": self._torch,
            "bioimageio": self._bioimageio,
        }[self.config.to]()

    def _onnx(self) -> Session:
        graph = onnx_model(self.network, self.card)
        if self.config.int8:
            graph = with_card(self._quantised(graph), self.card)
        with storage_errors(self.path):
            self.path.write_bytes(graph.SerializeToString())
        return open_session(self.path)

    def _openvino(self) -> Session:
        model = openvino_model(onnx_model(self.network, self.card))
        if self.config.int8:
            model = self._quantised(model)
        with storage_errors(self.path):
            save_openvino(model, self.card, self.path)
        return open_session(self.path)

    def _torch(self) -> Session:
        with storage_errors(self.path):
            write_torch(self._named(), self.card, self.path)
        return open_own(self.path)

    def _bioimageio(self) -> Session:
        graph = onnx_model(self.network, self.card)
        with storage_errors(self.path):
            (self.path.parent / ONNX_NAME).write_bytes(graph.SerializeToString())
        session = open_session(self.path.parent / ONNX_NAME)
        image = trials(self.found, self.run.card, self.card.multiple)[0].images[0]
        with storage_errors(self.path):
            write_bioimage(
                graph, self._named(), self.members, self.card, session, image, self.run.path.name, self.path
            )
        return session

    def _named(self) -> NamedOutputs:
        return NamedOutputs(self.network, self.card.card.network.num_classes, self.card.outputs).eval()

    def _quantised(self, graph: Any) -> Any:
        images = list(self.found.images(self.found.train, self.config.calibration_images))
        return quantised(graph, self.card, images)


def _require_sense(out: Path, config: ExportConfig) -> None:
    """Refuse what cannot work before anything is computed."""
    suffix = SUFFIXES[config.to]
    if out.suffix != suffix:  # of another case, OpenVINO would not find its weights
        raise ConfigError(
            found=f"--out {out.name} for --to {config.to}",
            expected=f"a name ending in {suffix}",
            fix=f"choose --out {out.with_suffix(suffix).name if out.name.strip('.') else f'model{suffix}'}",
        )
    if config.int8 and config.to not in ("onnx", "openvino"):
        raise ConfigError(
            found=f"--int8 with --to {config.to}",
            expected="--to onnx or --to openvino, whose runtimes compute with 8 bits",
            fix="choose one of them, or leave --int8 out",
        )
    for path in _files(out):
        if path.exists():
            raise StorageError(
                found=f"{path}, which exists", expected="a new file", fix="choose another --out"
            )


def _files(out: Path) -> list[Path]:
    """All that is written for `out`."""
    weights = [out.with_suffix(".bin")] if out.suffix == SUFFIXES["openvino"] else []
    return [*weights, out.with_name(f"{out.name}.json"), out]


def _chosen(run: RunFolder, config: ExportConfig) -> RunFolder:
    """The run itself, or that of one of its folds; RunError, ConfigError for what it has not."""
    fold, members = config.fold, run.card.members
    if fold is None:
        if members and config.int8:
            raise ConfigError(
                found=f"--int8 for the mean of the {len(members)} folds of {run.path}",
                expected="the network of one fold: there are no images that all of them can be judged by",
                fix=f"choose one with --fold, from 1 to {len(members)}, or leave --int8 out",
            )
        return run
    if not 1 <= fold <= len(members):
        raise RunError(
            found=f"--fold {fold} of {run.path}, which has {len(members) or 'no'} folds",
            expected=f"a number from 1 to {len(members)}" if members else "a run without --fold",
            fix="choose another, or leave --fold out" if members else "leave --fold out",
        )
    return RunFolder(run.path / members[fold - 1])


def _file_card(run: RunFolder, members: Sequence[Member], config: ExportConfig) -> FileCard:
    """What the file will say of itself."""
    card = run.card
    # where the data lay says something of the user's disk, and nothing to whoever gets the file
    card = card.model_copy(update={"members": (), "data": card.data.model_copy(update={"path": ""})})
    first = members[0].model
    facts = [_tiles(member) for member in members]
    halos = [halo for _, halo in facts]
    objects = card.network.objects
    multiple = lcm(*(multiple for multiple, _ in facts))
    known = [halo for halo in halos if halo is not None]
    by_image = any(member.card.normalisation.by == "image" for member in members)
    return FileCard(
        card=card.model_copy(update={"uvala": uvala.__version__}),
        outputs=(
            PROBABILITIES,
            *(() if objects == "classes" else (objects,)),
            *((MASK,) if config.mask else ()),
        ),
        levels=by_image and config.to != "bioimageio",
        multiple=multiple,
        halo=up(max(known), multiple) if len(known) == len(halos) else None,
        padded_to=int(getattr(first, "padded_to", multiple)),
        slack=int(getattr(first, "slack", 0)),
        networks=len(members),
        int8=config.int8,
    )


def _tiles(member: Member) -> tuple[int, int | None]:
    """The network's multiple, and its halo if a tile needs to know nothing of the whole image."""
    model, channels = member.model, member.card.network.in_channels
    facts = measure(model, channels)
    side = facts.multiple * 8
    # between multiples some networks stretch their maps to the size of others
    sizes = Size(side, side), Size(side + 1, side + max(facts.multiple - 1, 1))
    try:
        told = any(survey(model, channels, size, facts.multiple).needed for size in sizes)
    except NotLocal:
        told = True
    return facts.multiple, None if told else facts.halo


def _placed(written: Path, out: Path, card: FileCard, tried: Verification, dice: DiceLoss | None) -> Exported:
    """Give the files their names, the one that is opened last."""
    *others, report, _ = _files(out)
    with storage_errors(out):
        for path in (*others, out):
            sync(written.with_name(path.name))
        size = sum(written.with_name(path.name).stat().st_size for path in (*others, out))
        for path in others:
            written.with_name(path.name).replace(path)
        said = {"file": out.name, "bytes": size, "uvala": uvala.__version__, **tried.as_dict()}
        write_json(report, said if dice is None else {**said, "validation_dice": dice.as_dict()})
        written.replace(out)
    return Exported(out, report, card, tried, dice)
