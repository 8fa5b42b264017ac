"""What each rank does in the tests of distributed training."""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import jobs
from trainings import train_quickly
from uvala.augment.spatial import window_margin
from uvala.data.patches import PatchSampler
from uvala.data.store import ImageStore
from uvala.errors import DataError
from uvala.models.catalog import create_model
from uvala.training.batch_norm import synchronise
from uvala.training.distributed import World
from uvala.training.loop import Training
from uvala.training.optimiser import make_optimiser
from uvala.training.progress import Progress
from uvala.training.step import make_step


def conversation() -> dict[str, object]:
    """Every question that a rank can ask the others."""
    with World.from_environment() as world:
        text = "Übersicht".encode() if world.is_main else None
        return {
            "place": (world.rank, world.size, world.local_rank, world.is_main),
            "slots": world.slots(6),
            "total": world.total(np.array([[world.rank, 2**53]])),
            "any": (world.any(world.rank == 1), world.any(False)),
            "from main": world.from_main(0.1 + world.rank),
            "shared": world.share(text).decode(),
            "nothing shared": world.share(b"" if world.is_main else None),
        }


def ratio_of_sums(values: Tensor) -> tuple[float, Tensor]:
    """A loss that is a ratio of sums over ranks, and its gradient for this rank's values; both averaged."""
    with World.from_environment() as world:
        own = values[world.rank].clone().requires_grad_()
        loss = world.sum((own**2).sum()) / world.sum(own.sum())
        loss.backward()
        return loss.item(), own.grad / world.size


def normalise(
    norms: list[nn.BatchNorm2d], batches: list[Tensor], gradients: list[Tensor]
) -> list[dict[str, Tensor]]:
    """One step through each norm, synchronised: this rank's outputs and gradients, and the norm's state."""
    with World.from_environment() as world:
        return [_normalise(norm, batches[world.rank], gradients[world.rank]) for norm in norms]


def _normalise(norm: nn.BatchNorm2d, batch: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    model, x = nn.Sequential(norm), batch.clone().requires_grad_()
    synchronise(model)
    y = model(x)
    y.backward(gradient)
    gradients = {"dx": x.grad}
    if norm.affine:
        gradients |= {"dweight": norm.weight.grad, "dbias": norm.bias.grad}
    return {"y": y.detach(), **gradients, **model.state_dict()}


def gradients(members: list[tuple[str, dict]], images: Tensor, weights: Tensor) -> list[dict[str, Tensor]]:
    """Of each network, the gradients of a loss over the global batch, and its buffers; float64."""
    with World.from_environment() as world:
        return [gradients_in(world, name, options, images, weights) for name, options in members]


def gradients_in(
    world: World, name: str, options: dict, images: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Of one network. images [B, 3, H, W] and weights [B, 2, H, W]: of which this rank has its slots."""
    torch.manual_seed(world.rank)  # the first weights differ, until `wrap` makes them rank 0's
    model = create_model(name, in_channels=3, num_classes=2, **options).double().train()
    wrapped = world.wrap(model)
    own = world.slots(len(images))
    outputs = wrapped(images[own.start : own.stop])
    outputs = [outputs] if isinstance(outputs, Tensor) else outputs
    share = weights[own.start : own.stop]
    overlaps = torch.stack([(each.softmax(1) * share).sum() for each in outputs])
    (world.sum(overlaps) / world.sum(share.sum())).sum().backward()
    state = {f"buffer {key}": value for key, value in model.named_buffers()}
    return state | {key: each.grad for key, each in model.named_parameters() if each.grad is not None}


def one_fails() -> None:
    """Rank 1 finds its data unusable while the others wait for it."""
    with World.from_environment() as world:
        if world.rank == 1:
            raise DataError(found="nothing", expected="images", fix="look for them")
        world.barrier()


def one_is_killed() -> None:
    """Rank 1 vanishes between two steps."""
    with World.from_environment() as world:
        for _ in range(3):
            world.any(False)
        if world.rank == 1:
            os.kill(os.getpid(), 9)
        world.sum(torch.ones(1))


def losses(data: Path, steps: int, settings: dict) -> list[float]:
    """The loss of each step of a training, in float64 but for the patches."""
    with World.from_environment() as world:
        job = jobs.job(data, data / f"rank-{world.rank}", settings=settings, world=world)
        plan = job.plan
        store = ImageStore(job.dataset, plan.normalisation, targets=plan.targets)
        margin = window_margin(plan.augment, plan.patches.size)
        sampler = PatchSampler(store, job.training, plan.patches, margin, plan.seed)
        torch.manual_seed(plan.seed)
        model = create_model("pocket_unet", in_channels=job.dataset.channels, num_classes=2, width=4).double()
        model.register_forward_pre_hook(lambda _, images: (images[0].double(),))
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        step = make_step(model, make_optimiser(model, plan.optimiser), scaler, plan, job.device, world=world)
        slots = world.slots(plan.patches.batch)
        return [
            step(number, *map(torch.from_numpy, sampler.windows(number, slots)), 3e-3)
            for number in range(steps)
        ]


def train_together(data: Path, out: Path, *, resume: bool = False, last: int = 0) -> dict[str, Tensor]:
    """A training by all ranks, rank 0's in `out`; the last weights.

    last: rank 1 is killed when it is asked whether to stop for the n-th time, before a step or a validation.
    """
    with World.from_environment() as world:

        def killed() -> bool:
            nonlocal last
            last -= 1
            if last == 0 and world.rank == 1:
                os.kill(os.getpid(), 9)
            return False

        folder = out if world.is_main else out / f"rank-{world.rank}"
        return jobs.train(data, folder, world=world, resume=resume, stop=killed).model.state_dict()


def train_run(data: list[Path], out: Path, **options) -> tuple[str, list[str]]:
    """`uvala.train` on every rank, each with its own copy of the data: the run's path, and what it said."""
    said: list[str] = []
    rank = int(os.environ["RANK"])
    run = train_quickly(data[rank], out, listener=lambda event: said.append(event["event"]), **options)
    return str(run.path), said


def judged_late(data: Path, out: Path) -> int:
    """Step of the best weights, where only rank 0's clock is in the second half of the training."""
    with World.from_environment() as world:
        training = Training(jobs.job(data, out / f"rank-{world.rank}", world=world))
        early = training.judge(training.average.model, Progress(step=1, share=0.3))
        hardly_better = early.best_score + 0.05 * (1 - early.best_score)
        changes = {"step": 2, "share": 0.4 if world.rank else 0.6, "best_score": hardly_better}
        later = early.model_copy(update=changes)
        return training.judge(training.average.model, later).best_step
