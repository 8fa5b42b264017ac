import torch
from torch.testing import assert_close

from uvala.augment.config import AugmentConfig
from uvala.augment.intensity import random_intensity

NEVER = AugmentConfig(intensity_probability=0, noise_probability=0, blur_probability=0)
ALWAYS = AugmentConfig(intensity_probability=1, noise_probability=1, blur_probability=1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(channels: int = 3) -> torch.Tensor:
    return torch.rand(4, channels, 24, 20, generator=seeded(1)) * 2 - 1


def test_nothing_happens_at_probability_zero():
    assert torch.equal(random_intensity(images(), NEVER, seeded()), images())


def test_the_same_seed_changes_alike():
    assert torch.equal(
        random_intensity(images(), ALWAYS, seeded(2)), random_intensity(images(), ALWAYS, seeded(2))
    )


def test_each_image_changes_by_itself():
    same = images()[:1].expand(4, -1, -1, -1)
    changed = random_intensity(same, ALWAYS, seeded())
    assert not torch.allclose(changed[0], changed[1])


def test_blur_keeps_the_mean_of_a_constant_image():
    config = NEVER.model_copy(update={"blur_probability": 1.0})
    constant = torch.full((2, 1, 16, 16), 0.3)
    assert_close(random_intensity(constant, config, seeded()), constant)


def test_one_pixel_images_pass():
    assert random_intensity(torch.zeros(2, 1, 1, 1), ALWAYS, seeded()).shape == (2, 1, 1, 1)


def test_extreme_values_stay_finite():
    assert torch.isfinite(random_intensity(images() * 3, ALWAYS, seeded())).all()
