"""The network that a training begins with."""

import torch
from torch import nn

from uvala.errors import WeightsError
from uvala.models.catalog import create_model, without_pretrained
from uvala.models.layout import use_layout
from uvala.training.job import Job

__all__ = ["make_network"]


def make_network(job: Job, *, empty: bool) -> nn.Module:
    """The network of the plan on its device, with the weights of `job.start`, or those that its seed draws.

    empty: its weights come from elsewhere, so none need be fetched. WeightsError if `job.start` does not fit.
    """
    card, plan = job.network, job.plan
    torch.manual_seed(plan.seed)
    options = without_pretrained(card.options) if empty or job.start is not None else card.options
    model = create_model(
        card.name, in_channels=card.in_channels, num_classes=card.logits or card.num_classes, **options
    )
    if job.start is not None and not empty:
        try:
            model.load_state_dict(dict(job.start))
        except RuntimeError as error:
            raise WeightsError(
                found=f"weights to begin with that do not fit {card.name} ({str(error).splitlines()[0]})",
                expected="the weights of the same network",
                fix="train anew without them",
            ) from error
    model = model.to(job.device)
    use_layout(model, plan.execution.memory_format)
    return model
