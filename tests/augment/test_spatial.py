import pytest
import torch
from torch.testing import assert_close

from uvala.arrays import IGNORE
from uvala.augment.config import AugmentConfig
from uvala.augment.spatial import identity_grid, random_grid, warp, window_margin

STILL = AugmentConfig(
    flip_vertical=False,
    flip_horizontal=False,
    quarter_turns=False,
    rotation_probability=0,
    scale_probability=0,
    elastic_probability=0,
)
WILD = AugmentConfig(rotation_probability=1, scale_probability=1, elastic_probability=1, shear=0.2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def window(margin: int = 4, patch: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    side = patch + 2 * margin
    masks = torch.randint(0, 5, (2, side, side), generator=seeded(), dtype=torch.uint8)
    return masks.float().unsqueeze(1), masks


def test_without_any_change_the_patch_is_the_middle_of_its_window():
    images, masks = window()
    image, mask = warp(images, masks, random_grid(STILL, 2, 16, seeded()))
    assert_close(image, images[:, :, 4:-4, 4:-4], atol=1e-5, rtol=0)
    assert torch.equal(mask, masks[:, 4:-4, 4:-4])


@pytest.mark.parametrize("axis", [1, 2], ids=["rows", "columns"])
def test_a_flip_mirrors_image_and_mask(axis):
    images, masks = window()
    grid = identity_grid(2, 16).clone()
    grid[..., 2 - axis] *= -1
    image, mask = warp(images, masks, grid)
    assert torch.equal(mask, masks[:, 4:-4, 4:-4].flip(axis))
    assert_close(image[:, 0], mask.float(), atol=1e-5, rtol=0)


def test_quarter_turns_are_exact():
    config = STILL.model_copy(update={"quarter_turns": True})
    images, masks = window()
    for seed in range(8):
        _, mask = warp(images, masks, random_grid(config, 2, 16, seeded(seed)))
        turns = [masks[0, 4:-4, 4:-4].rot90(k) for k in range(4)]
        assert any(torch.equal(mask[0], turned) for turned in turns)


def test_masks_never_hold_a_class_that_was_not_there():
    masks = torch.full((4, 32, 32), 7, dtype=torch.uint8)
    masks[:, :, 16:] = 200
    _, mask = warp(masks.float().unsqueeze(1), masks, random_grid(WILD, 4, 16, seeded()))
    assert set(mask.unique().tolist()) <= {7, 200, IGNORE}


def test_outside_the_window_the_image_is_mirrored_and_the_mask_ignored():
    images = torch.ones(1, 1, 16, 16)
    masks = torch.ones(1, 16, 16, dtype=torch.uint8)
    image, mask = warp(images, masks, identity_grid(1, 16) + 100)
    assert_close(image, images)
    assert (mask == IGNORE).all()


def test_image_and_mask_move_together():
    masks = torch.zeros(4, 64, 64, dtype=torch.uint8)
    masks[:, 20:44, 26:38] = 1
    image, mask = warp(masks.float().unsqueeze(1), masks, random_grid(WILD, 4, 32, seeded(3)))
    known = mask != IGNORE
    assert ((image[:, 0] > 0.5).float() == mask.float())[known].float().mean() > 0.98


def test_the_same_seed_gives_the_same_grid():
    assert torch.equal(random_grid(WILD, 3, 16, seeded(5)), random_grid(WILD, 3, 16, seeded(5)))


def test_the_margin_covers_a_rotated_patch():
    config = STILL.model_copy(update={"rotation_probability": 1.0, "rotation": 180.0})
    reach = random_grid(config, 64, 32, seeded()).abs().max() - 15.5
    assert reach <= window_margin(config, 32)
