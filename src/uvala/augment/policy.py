"""Everything that happens to a batch before the network sees it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from uvala.augment.config import AugmentConfig
from uvala.augment.draws import draw
from uvala.augment.intensity import change_intensity
from uvala.augment.mixing import mix
from uvala.augment.spatial import moved

__all__ = ["augment_batch"]


@torch.no_grad()
def augment_batch(
    windows: Tensor,
    masks: Tensor,
    maps: Tensor,
    config: AugmentConfig,
    patch: int,
    generators: Sequence[torch.Generator],
) -> tuple[Tensor, Tensor, Tensor]:
    """Images, masks and maps of patches, out of their windows and randomly changed.

    Images are float [B, C, P, P], masks uint8 [B, P, P] and maps float [B, M, P, P].

    windows: float [B, C, S, S], normalised. masks: uint8 [B, S, S], class indices and IGNORE. maps: float
    [B, M, S, S], what the loss needs besides; M may be 0. S - P is even; `window_margin` says how much is
    enough. generators: one of the CPU for each sample. What happens to a sample is a function of its
    generator, with mixing also of its neighbour (see `mixing`), whatever else is in the batch.

    All is computed on the device of `windows`; no result is waited for there unless objects are pasted.
    """
    assert len(windows) == len(generators), "one generator for each sample"
    assert (windows.shape[-1] - patch) % 2 == 0, "as much margin on either side"
    draws = draw(config, patch, windows.shape[1], generators)
    images, targets, bent = moved(windows, masks, maps, draws, patch)
    return mix(change_intensity(images, draws), targets, bent, draws)
