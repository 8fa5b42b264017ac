"""How the arithmetic is done: what changes the speed and not the result."""

from typing import Literal

from pydantic import Field

from uvala.config import Config

__all__ = ["ExecutionConfig"]


class ExecutionConfig(Config):
    """How the arithmetic is done."""

    memory_format: Literal["contiguous", "channels_last", "mixed"] = Field(
        "contiguous",
        description="order of a tensor's numbers; mixed: channels last, but contiguous for the gradient of "
        "kernels, the fastest of the three on CPUs",
    )
    compile: bool = Field(False, description="whether torch.compile makes the network faster first")
    deterministic: bool = Field(
        False, description="only operations that give the same bits each time; on a GPU slower"
    )
    cache: int | None = Field(
        None,
        ge=0,
        description="gigabytes of disk for decoded images that do not fit into memory; 0: none; without a "
        "number up to half of what is free",
    )
