"""The model card: everything that is needed to use a trained network, and where it comes from."""

from typing import Any, Literal

from pydantic import Field

from uvala.config import Config
from uvala.data.masks import MaskEncoding
from uvala.data.normalisation import Normalisation
from uvala.instances.config import ObjectConfig
from uvala.tiling.config import TileConfig
from uvala.tiling.test_time_config import TestTimeConfig

__all__ = ["FORMAT", "READABLE", "Card", "DataCard", "NetworkCard", "ObjectCard", "TrainingCard"]

FORMAT = 5
"""Version of the run folder's format. It rises when an older uvala could no longer read a new folder."""

READABLE = (1, 2, 3, 4, 5)
"""Versions that this uvala reads."""


class NetworkCard(Config):
    """The network, and what an exact tiling needs to know of it."""

    name: str = Field(description="name of the network")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the network")
    in_channels: int = Field(ge=1, description="channels of the images")
    num_classes: int = Field(ge=2, description="classes, the background included")
    logits: int | None = Field(
        None,
        ge=1,
        description="channels of the logits, if not the classes: 1 for a sigmoid over two, one more for "
        "`objects`",
    )
    objects: Literal["classes", "borders", "distance"] = Field(
        "classes",
        description="what the logits hold besides the classes: the border of objects as a class, or the "
        "logit of the distance to it",
    )
    parameters: int = Field(0, ge=0, description="number of weights")
    multiply_adds: int = Field(0, ge=0, description="multiply-adds for one image of 512x512")
    multiple: int = Field(1, ge=1, description="tiles start at multiples of this, pixels")
    halo: int | None = Field(
        None, ge=0, description="context that a tile needs on each side, pixels; none: all"
    )


class DataCard(Config):
    """What the network was trained on."""

    name: str = Field("", description="name of the data set's folder")
    path: str = Field("", description="where the data set lay; a resume looks there")
    layout: str = Field("", description="how images and masks were arranged")
    channels: int | None = Field(None, description="channels that images are converted to; none: as they are")
    dtype: str = Field("uint8", description="number format of the images")
    pages_as_channels: bool = Field(
        False, description="whether the unnamed pages of a file were the channels of one image"
    )
    train: int = Field(0, description="images trained on")
    val: int = Field(0, description="images that chose the best weights")
    test: int = Field(0, description="images held out")
    imported: str = Field("", description="whose checkpoint the weights are, if they were not trained here")
    fold: int | None = Field(
        None, ge=1, description="which part of a cross-validation this is; none: it is not part of one"
    )
    split_origin: str = Field("", description="where the split comes from")
    notes: tuple[str, ...] = Field((), description="what was noticed while reading")
    table: tuple[tuple[str, str, float, int], ...] = Field(
        (), description="value in the mask, class, share of the pixels, images that contain it"
    )


class ObjectCard(Config):
    """How objects are found in what the network predicts, and how that was decided."""

    settings: ObjectConfig = ObjectConfig()
    measure: str = Field(
        "", description="what was compared on the validation images: ap or v_rand; empty: nothing"
    )
    score: float | None = Field(None, description="of these settings on the validation images")
    base_score: float | None = Field(None, description="of the settings that the search began with")
    tried: int = Field(0, ge=0, description="settings that were compared")
    images: int = Field(0, ge=0, description="validation images that decided")


class TrainingCard(Config):
    """How the training went so far."""

    finished: bool = Field(False, description="whether the training reached its end")
    start: str = Field("", description="whose weights it began from; empty: fresh ones")
    rejoined: tuple[int, float] | None = Field(
        None, description="where it was lengthened: step, and share of the schedule at which it went on"
    )
    ended: str = Field("", description="when it ended or was stopped, in ISO 8601")
    steps: int = Field(0, description="steps done")
    best_step: int = Field(0, description="step of the kept weights")
    best_dice: float | None = Field(
        None, description="validation Dice of the kept weights, mean over classes"
    )
    seconds: float = Field(0.0, description="wall-clock time of the training command")
    waited: float = Field(0.0, description="seconds that the network waited for data")
    device: str = Field("", description="device that trained")
    machine: str = Field("", description="processor and cores, or GPU")


class Card(Config):
    """card.json of a run folder."""

    format: int = Field(FORMAT, description="version of the run folder's format")
    uvala: str = Field("", description="version of uvala that wrote it")
    torch: str = Field("", description="version of torch that trained")
    created: str = Field("", description="when, in ISO 8601")
    network: NetworkCard
    encoding: MaskEncoding
    normalisation: Normalisation
    tiles: TileConfig = TileConfig()
    test_time: TestTimeConfig = TestTimeConfig()
    members: tuple[str, ...] = Field(
        (),
        description="folders inside this one, of runs whose predictions are averaged; none: it has its own",
    )
    temperature: float = Field(
        1.0, gt=0, description="by which logits are divided so that probabilities are honest; from validation"
    )
    objects: ObjectCard = ObjectCard()
    data: DataCard = DataCard()
    training: TrainingCard = TrainingCard()
