"""What happens to a sample is a function of its generator, and of nothing else."""

import pytest
import torch

from changes import everything, generators, only
from uvala.augment.config import AugmentConfig
from uvala.augment.draws import draw
from uvala.augment.policy import augment_batch
from uvala.augment.spatial import window_margin

PATCH = 24


def windows(*numbers: int, channels: int = 2, maps: int = 1, side: int = 40):
    """The windows of samples 0 to 9 that these numbers name: images, masks, maps."""
    random = torch.Generator().manual_seed(7)
    images = torch.rand(10, channels, side, side, generator=random) * 2 - 1
    masks = torch.randint(0, 4, (10, side, side), generator=random, dtype=torch.uint8)
    return tuple(part[list(numbers)] for part in (images, masks, images[:, :1].expand(-1, maps, -1, -1)))


def augmented(config: AugmentConfig, *numbers: int):
    return augment_batch(*windows(*numbers), config, PATCH, generators(*numbers))


class TestSampleByItself:
    """One process with a batch of four does what four processes with one each do."""

    @pytest.mark.parametrize(
        "config", [everything(), AugmentConfig(), only(quarter_turns=True)], ids=["all", "default", "turns"]
    )
    @pytest.mark.parametrize("batch", [(3,), (3, 5), (1, 2, 3), (9, 8, 3, 7, 3)], ids=str)
    def test_a_sample_is_the_same_in_any_batch_and_slot(self, config, batch):
        alone = augmented(config, 3)
        together = augmented(config, *batch)
        for one, several in zip(alone, together, strict=True):
            assert torch.equal(one[0], several[batch.index(3)])

    def test_the_same_sample_twice_is_the_same_twice(self):
        for part in augmented(everything(), 4, 4):
            assert torch.equal(part[0], part[1])

    def test_other_generators_change_otherwise(self):
        same = windows(2, 2)
        images, targets, _ = augment_batch(*same, everything(), PATCH, generators(1, 2))
        assert not torch.equal(images[0], images[1])
        assert not torch.equal(targets[0], targets[1])

    def test_mixed_samples_depend_on_their_pair_alone(self):
        config = everything(cutmix_probability=1.0)
        pair, among_others = augmented(config, 4, 5), augmented(config, 2, 3, 4, 5, 6)
        for alone, several in zip(pair, among_others, strict=True):
            assert torch.equal(alone, several[2:4])


class TestDraws:
    def test_what_happens_does_not_change_how_many_numbers_are_drawn(self):
        calm, wild = generators(1), generators(1)
        never = dict.fromkeys((n for n in AugmentConfig.model_fields if n.endswith("_probability")), 0.0)
        draw(AugmentConfig(**{**never, "elastic_probability": 0.01}), PATCH, 3, calm)
        draw(AugmentConfig(**{**dict.fromkeys(never, 1.0)}), PATCH, 3, wild)
        assert torch.equal(calm[0].get_state(), wild[0].get_state())

    def test_one_setting_changes_nothing_else(self):
        some = AugmentConfig(blur_probability=0.0)
        plain, noisy = some, some.model_copy(update={"noise_probability": 1.0, "elastic_probability": 0.0})
        one, other = (draw(config, PATCH, 3, generators(1)) for config in (plain, noisy))
        assert torch.equal(one.amounts, other.amounts)
        assert torch.equal(one.offsets, other.offsets)

    def test_neighbouring_seeds_have_nothing_in_common(self):
        amounts = draw(AugmentConfig(), PATCH, 1, generators(*range(2000))).amounts
        after_each_other = torch.corrcoef(torch.stack([amounts[:-1, 0], amounts[1:, 0]]))[0, 1]
        assert abs(after_each_other) < 0.07  # three standard errors


class TestBatch:
    @pytest.mark.parametrize("channels", [1, 3, 5])
    @pytest.mark.parametrize("maps", [0, 1, 2])
    def test_shapes_and_types(self, channels, maps):
        parts = windows(0, 1, 2, channels=channels, maps=maps)
        images, targets, bent = augment_batch(*parts, everything(), PATCH, generators(0, 1, 2))
        assert (images.shape, images.dtype) == ((3, channels, PATCH, PATCH), torch.float32)
        assert (targets.shape, targets.dtype) == ((3, PATCH, PATCH), torch.uint8)
        assert (bent.shape, bent.dtype) == ((3, maps, PATCH, PATCH), torch.float32)

    @pytest.mark.parametrize(
        "config",
        [everything(cutmix_probability=1.0), only(), only(noise=0.1)],
        ids=["all", "copies", "noise"],
    )
    def test_the_windows_stay_as_they_are(self, config):
        parts, before = windows(0, 1), windows(0, 1)
        augment_batch(*parts, config, PATCH, generators(0, 1))
        for part, original in zip(parts, before, strict=True):
            assert torch.equal(part, original)

    def test_windows_without_a_margin_pass(self):
        parts = windows(0, 1, side=PATCH)
        assert augment_batch(*parts, everything(), PATCH, generators(0, 1))[0].isfinite().all()

    def test_what_is_changed_needs_no_gradient(self):
        images, masks, maps = windows(0)
        assert not augment_batch(images.requires_grad_(), masks, maps, everything(), PATCH, generators(0))[
            0
        ].requires_grad

    def test_cutout_and_intensities_leave_the_mask(self):
        config = everything(
            rotation_probability=0, scale_probability=0, shear_probability=0, elastic_probability=0,
            flip_horizontal=False, flip_vertical=False, quarter_turns=False, cutout=0.5,
        )  # fmt: skip
        _, masks, maps = windows(0, 1)
        _, targets, bent = augmented(config, 0, 1)
        assert torch.equal(targets, masks[:, 8:-8, 8:-8])
        assert torch.equal(bent, maps[..., 8:-8, 8:-8])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_does_what_the_cpu_does():
    config = everything(noise_probability=0.0)  # its numbers are drawn on the device
    here = augmented(config, 0, 1, 2)
    there = augment_batch(*(part.cuda() for part in windows(0, 1, 2)), config, PATCH, generators(0, 1, 2))
    assert (here[1] == there[1].cpu()).float().mean() > 0.999
    torch.testing.assert_close(here[0], there[0].cpu(), atol=1e-3, rtol=0)


class TestRecipes:
    """The values of the origins that people come from can be said."""

    def test_the_deformation_of_the_paper(self):
        config = AugmentConfig(elastic=10, elastic_points=3, elastic_probability=1)
        assert draw(config, 512, 1, generators(0)).displacements.shape == (1, 2, 3, 3)

    def test_no_augmentation_reads_no_more_than_the_patch(self):
        assert window_margin(only(), 256) == 0
