"""Networks that leave for another project and come back."""

import torch

from uvala.models.catalog import create_model, recipe_of
from uvala.weights.peers import from_peer, match_peer, to_peer


def assert_there_and_back(origin: str, name: str, *, hints: dict | None = None, **options) -> dict:
    """The network is known again by its keys under the origin's names, and says the same; returns those.

    hints: what the keys cannot tell.
    """
    torch.manual_seed(0)
    model = create_model(name, **options).eval()
    theirs = to_peer(origin, model)
    assert match_peer("auto", theirs, hints).recipe == recipe_of(model)
    again = from_peer(origin, theirs, **(hints or {}))
    assert recipe_of(again) == recipe_of(model)
    size = (2 * model.multiple, 3 * model.multiple)
    image = torch.randn(1, options["in_channels"], *size)
    with torch.no_grad():
        assert torch.equal(again(image), model(image))
    return theirs
