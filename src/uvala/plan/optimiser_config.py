"""How weights are updated: the optimiser, its schedule, what is averaged, clipped, frozen and watched."""

from typing import Literal

from pydantic import Field, model_validator

from uvala.config import Config

__all__ = ["FreezeConfig", "OptimiserConfig", "WatchdogConfig"]


class OptimiserConfig(Config):
    """The optimiser and its schedule.

    AdamW: Loshchilov and Hutter 2019, arXiv:1711.05101; Adam: Kingma and Ba 2015, arXiv:1412.6980; RMSprop:
    Tieleman and Hinton 2012; Nesterov's momentum: Sutskever et al. 2013.
    """

    name: Literal["adamw", "adam", "sgd", "rmsprop"] = Field("adamw", description="which optimiser")
    learning_rate: float = Field(3e-3, gt=0, le=10, description="highest learning rate")
    momentum: float = Field(
        0.9, ge=0, lt=1, description="momentum of SGD and RMSprop; first moment of AdamW and Adam"
    )
    nesterov: bool = Field(False, description="SGD: Nesterov's form of the momentum")
    weight_decay: float = Field(
        1e-2,
        ge=0,
        le=1,
        description="AdamW: decoupled decay per unit of learning rate; the others: L2 penalty",
    )
    decay_all: bool = Field(
        False, description="whether norms and biases decay too; if not, only the kernels do"
    )
    schedule: Literal["cosine", "polynomial", "constant", "plateau"] = Field(
        "cosine",
        description="how the rate falls: half a cosine to 0, (1 - progress) ** power, not at all, or by "
        "`factor` when validation stops rising",
    )
    warmup: float = Field(
        0.05, ge=0, lt=1, description="share of the training in which the learning rate rises"
    )
    lowest: float = Field(
        0.0, ge=0, le=1, description="cosine: where it ends, as a share of the highest learning rate"
    )
    power: float = Field(0.9, gt=0, description="polynomial: its exponent")
    patience: int = Field(5, ge=0, description="plateau: validations without a better one that are borne")
    factor: float = Field(0.1, gt=0, lt=1, description="plateau: what the rate is multiplied by")
    average: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="decay of the running average of the weights that is kept; 0: the last ones",
    )
    clip: float = Field(
        5.0, ge=0, description="largest norm of a gradient; a larger one is scaled down to it; 0: any"
    )
    accumulate: int = Field(
        1,
        ge=1,
        description="parts that a batch is worked off in, to save memory for a third more time; its size and "
        "its gradient stay, but for what batch norms see",
    )

    @model_validator(mode="after")
    def _nesterov_has_a_momentum(self) -> "OptimiserConfig":
        if self.nesterov and (self.name != "sgd" or not self.momentum):
            raise ValueError("nesterov is a form of SGD's momentum: set name to sgd and momentum above 0")
        return self


class FreezeConfig(Config):
    """The first part of a training in which an encoder with weights of another origin stays as it is."""

    encoder: float = Field(
        0.0, ge=0, lt=1, description="share of the training in which the encoder is not changed"
    )
    learning_rate_after: float = Field(
        1.0, gt=0, le=1, description="what the learning rate is multiplied by once the encoder is set free"
    )


class WatchdogConfig(Config):
    """When a training has gone wrong, and how often it is put back to its last good state."""

    rewinds: int = Field(3, ge=0, description="times that a training is put back before it gives up")
    slower: float = Field(
        0.5, gt=0, le=1, description="what the learning rate is multiplied by each time it is put back"
    )
    refused: int = Field(
        25, ge=1, description="steps in a row whose gradient is not a number, after which it is put back"
    )
    divergence: float = Field(
        3.0,
        gt=1,
        description="it is put back when the loss, smoothed, is so many times its best and above its first",
    )
