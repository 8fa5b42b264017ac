"""Several processes that train one network: who they are, and what they tell each other.

Each process (rank) works on its share of the global batch. Gradients are averaged by torch's
DistributedDataParallel (Li et al. 2020, arXiv:2006.15704); batch norms look at the global batch; losses sum
over ranks what they divide. One rank and N ranks therefore compute the same numbers, but for the order in
which floats are added. Nothing that travels is pickled: only tensors and bytes of JSON or safetensors.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from uvala.errors import ConfigError, RankError
from uvala.training.batch_norm import synchronise
from uvala.training.ranks import Place, read_place

__all__ = ["World"]

# a rank that is gone is noticed at once by its closed connections; this is for one that hangs, and longer
# than any rank lets the others wait within a step or a validation
_PATIENCE = timedelta(minutes=30)
# rank 0 reads, plans, scores and reports alone, and of a training of days that may take hours
_LONG_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class World:
    """The processes (ranks) that train together, seen from one of them. `World.alone()`: there is one.

    Of several, use it in a `with` block: its end closes the connections, so that the others notice at once
    when this rank fails. Whatever it is asked must be asked on every rank, in the same order.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    patient: dist.ProcessGroup | None = None  # for waits without end in sight
    owned: bool = False  # whether the connections were made here

    @classmethod
    def alone(cls) -> "World":
        """The only process."""
        return cls()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "World":
        """The world that torchrun started this process in; alone if it was started by itself.

        environment: default this process's. ConfigError for variables that make no sense, RankError if the
        others cannot be reached.
        """
        place = read_place(environment)
        if place.size == 1:
            return cls.alone()
        owned = not dist.is_initialized()
        if owned:
            _connect(place)
        patient = dist.new_group(backend="gloo", timeout=_LONG_PATIENCE)
        assert isinstance(patient, dist.ProcessGroup)  # it is of all ranks, hence of this one
        return cls(place.rank, place.size, place.local_rank, patient, owned)

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, the only one that writes files and speaks."""
        return self.rank == 0

    def own_device(self, device: torch.device) -> torch.device:
        """This rank's device of the kind asked for; of CUDA the GPU with its local rank, now the current one.

        ConfigError if its machine has none for it.
        """
        if self.size == 1 or device.type == "cpu":
            return device
        if device.type != "cuda" or device.index is not None:
            raise ConfigError(
                found=f"device '{device}' for {self.size} processes",
                expected="cuda, of which each process takes the GPU with its local rank, or cpu",
                fix="leave --device at auto, or choose cpu",
            )
        there = torch.cuda.device_count()
        if self.local_rank >= there:
            raise ConfigError(
                found=f"local rank {self.local_rank} on a machine with {there} GPU{'s' * (there != 1)}",
                expected="a GPU of its own for each process",
                fix=f"start {there} with --nproc-per-node {there}, or choose --device cpu",
            )
        own = torch.device("cuda", self.local_rank)
        torch.cuda.set_device(own)
        return own

    def slots(self, batch: int) -> range:
        """The places of the global batch that this rank fills; ConfigError if the shares are not equal."""
        if batch % self.size:
            near = max(1, round(batch / self.size)) * self.size
            raise ConfigError(
                found=f"patches.batch {batch}, to be shared by {self.size} processes",
                expected="a multiple of the number of processes: each fills as much of the batch",
                fix=f"set patches.batch={near}, or start a number of processes that divides {batch}",
            )
        share = batch // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, differentiable; identity when alone.

        Its backward sums the gradients over ranks: where every rank computes the same loss, what arrives is
        `size` times the gradient of that loss, and the average that `wrap` takes over ranks is the gradient.
        """
        return tensor if self.size == 1 else _SumOverRanks.apply(tensor)

    def total(self, values: NDArray[Any]) -> NDArray[Any]:
        """Plain sum over ranks, of any shape; its numbers' type stays."""
        if self.size == 1:
            return values
        tensor = torch.from_numpy(np.array(values))  # a copy: it is summed in place
        dist.all_reduce(tensor)
        return tensor.numpy()

    def any(self, flag: bool) -> bool:
        """Whether it is true on any rank."""
        if self.size == 1:
            return flag
        raised = torch.tensor([int(flag)])
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return bool(raised.item())

    def from_main(self, value: float) -> float:
        """Rank 0's number on every rank."""
        if self.size == 1:
            return value
        number = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(number, src=0)
        return number.item()

    def share(self, content: bytes | None) -> bytes:
        """Rank 0's bytes on every rank, however long rank 0 takes to come with them; the others give None."""
        if self.is_main:
            assert content is not None, "rank 0 has what is shared"
        if self.size == 1:
            return content or b""
        length = torch.tensor([len(content or b"")])
        dist.broadcast(length, src=0, group=self.patient)
        # never empty, which a broadcast might not carry
        buffer = bytearray(content if self.is_main and content else int(length.item())) + b"."
        dist.broadcast(torch.frombuffer(buffer, dtype=torch.uint8), src=0, group=self.patient)
        return bytes(buffer[:-1])

    def barrier(self) -> None:
        """Wait until every rank is here, however long one of them works alone."""
        if self.size > 1:
            dist.barrier(group=self.patient)

    def wrap(self, model: nn.Module) -> nn.Module:
        """What to call in training steps in place of `model`; alone, `model` itself.

        Of several ranks: weights and buffers become rank 0's, the batch norms inside `model` are replaced by
        synchronised ones (parameters and names stay), and gradients are averaged over ranks in the backward
        pass. Wrap anew when parameters have been frozen or set free.
        """
        if self.size == 1:
            return model
        synchronise(model)
        # a static graph: parts that a network does not use, or uses twice, are seen in the first step
        return DistributedDataParallel(model, static_graph=True)

    def __enter__(self) -> "World":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # after an error NCCL would wait for the others' part of what is under way; the end of this process
        # ends it
        if self.owned and dist.is_initialized() and (error is None or dist.get_backend() == "gloo"):
            dist.destroy_process_group()
        if self.size > 1 and isinstance(error, RuntimeError) and _is_loss_of_contact(error):
            raise RankError(
                found=f"rank {self.rank} of {self.size} has lost another one ({_reason(error)})",
                expected="all processes of the training until its end",
                fix="see what the other one said, and go on with --resume",
            ) from error


class _SumOverRanks(torch.autograd.Function):
    """All-reduce forward, all-reduce backward."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        summed = tensor.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed


def _connect(place: Place) -> None:
    # it is said of kernels of one channel, whose memory is the same either way
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    with_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if with_gpus else "gloo"
    try:
        dist.init_process_group(backend, rank=place.rank, world_size=place.size, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise RankError(
            found=f"rank {place.rank} of {place.size} cannot reach the others ({_reason(error)})",
            expected=f"{place.size} processes that find rank 0 at MASTER_ADDR and MASTER_PORT",
            fix="start them with torchrun, and let its port through between the machines",
        ) from error


def _reason(error: Exception) -> str:
    """The first sentence of torch's message, without the place in its code that it begins with."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\[\S*:\d+\] ", "", line).split(". ")[0]


def _is_loss_of_contact(error: RuntimeError) -> bool:
    # gloo's errors are plain RuntimeErrors that name the file of gloo they come from
    return isinstance(error, dist.DistError) or "gloo" in str(error)
