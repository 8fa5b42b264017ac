"""Ranks that sum over each other as threads of one process: what a loss needs of them, and nothing more."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

Found = TypeVar("Found")


def on_ranks(count: int, work: Callable[[int, Callable[[Tensor], Tensor]], Found]) -> list[Found]:
    """What `work(rank, over_ranks)` returns on each rank; over_ranks sums, its backward sums gradients."""
    ranks = _Ranks(count)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda rank: work(rank, ranks.over(rank)), range(count)))


class _Ranks:
    def __init__(self, count: int) -> None:
        self.values: list[Tensor] = [torch.empty(0)] * count
        self.barrier = threading.Barrier(count, timeout=30)  # one for whom nobody waits fails

    def exchange(self, rank: int, value: Tensor) -> Tensor:
        self.values[rank] = value
        self.barrier.wait()
        total = torch.stack(self.values).sum(dim=0)
        self.barrier.wait()
        return total

    def over(self, rank: int) -> Callable[[Tensor], Tensor]:
        class Sum(torch.autograd.Function):
            @staticmethod
            def forward(ctx, tensor):
                return self.exchange(rank, tensor.detach())

            @staticmethod
            def backward(ctx, gradient):
                return self.exchange(rank, gradient)

        return Sum.apply
