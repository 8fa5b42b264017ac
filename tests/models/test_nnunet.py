"""nnU-Net's networks: sizes, deep supervision, options per stage."""

import pytest
import torch

from uvala.config import build, read_toml, to_toml
from uvala.errors import ConfigError
from uvala.models.blocks import InstanceNorm
from uvala.models.catalog import create_model, recipe_of
from uvala.models.facts import measure
from uvala.models.nnunet import PlainConvUNetConfig

NAMES = ["plain_conv_unet", "residual_encoder_unet"]


def make(name: str = "plain_conv_unet", **options) -> torch.nn.Module:
    torch.manual_seed(0)
    return create_model(name, **{"in_channels": 1, "num_classes": 2, "widths": (4, 6, 8)} | options)


def config(**options):
    return recipe_of(make(**options)).config


class TestSizes:
    """Any size, though seven stages halve it six times and a norm over space needs some."""

    @pytest.mark.parametrize("size", [(64, 64), (1, 1), (65, 130)], ids=str)
    def test_seven_stages_take_any_size(self, size):
        model = make(widths=(2,) * 7, convolutions=1).eval()
        with torch.no_grad():
            assert model(torch.randn(1, 1, *size)).isfinite().all()

    def test_each_axis_is_padded_for_its_own_strides(self):
        model = make(strides=(1, (1, 2), (1, 2))).eval()
        seen = []
        model.encoders[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape))
        with torch.no_grad():
            assert model(torch.randn(1, 1, 5, 6)).shape == (1, 2, 5, 6)
        assert seen == [(1, 1, 5, 8)]

    def test_a_tile_begins_at_a_multiple_of_both_axes(self):
        assert make(strides=(1, (2, 1), (1, 3))).multiple == 6


class TestDeepSupervision:
    """In training mode there are logits at every resolution but the coarsest."""

    @pytest.mark.parametrize("name", NAMES)
    def test_the_finest_logits_come_first(self, name):
        model = make(name, widths=(4, 6, 8, 8)).train()
        assert [logits.shape[2:] for logits in model(torch.randn(2, 1, 32, 48))] == [
            (32, 48),
            (16, 24),
            (8, 12),
        ]

    def test_the_first_of_training_are_those_of_evaluation(self):
        model, image = make(), torch.randn(1, 1, 16, 24)
        assert torch.equal(model.train()(image)[0], model.eval()(image))

    def test_logits_of_a_padded_image_are_cropped_to_its_share(self):
        outputs = make(strides=(1, (1, 2), 2)).train()(torch.randn(1, 1, 9, 13))
        assert [logits.shape[2:] for logits in outputs] == [(9, 13), (9, 7)]

    def test_the_loss_of_each_counts_half_of_the_one_above_and_the_coarsest_nothing(self):
        weights = make(widths=(4,) * 5).loss_weights
        assert weights == pytest.approx((4 / 7, 2 / 7, 1 / 7, 0))

    def test_with_two_stages_there_is_one_output_and_it_counts(self):
        assert make(widths=(4, 6)).loss_weights == (1,)

    def test_without_it_there_is_one_output_and_one_head(self):
        model = make(deep_supervision=False).train()
        assert model(torch.randn(1, 1, 16, 16)).shape == (1, 2, 16, 16)
        assert len(model.heads) == 1
        assert not hasattr(model, "loss_weights")


class TestOptions:
    """What is said once holds for all stages; what is said per stage has to be complete."""

    def test_one_value_stands_for_all_stages(self):
        assert config(kernel_sizes=5, convolutions=3).kernel_sizes == ((5, 5),) * 3
        assert config(kernel_sizes=5, convolutions=3).convolutions == (3, 3, 3)

    def test_one_stride_stands_for_all_but_the_first_stage(self):
        assert config(strides=3).strides == ((1, 1), (3, 3), (3, 3))

    def test_blocks_of_the_residual_encoder_are_those_of_nnunets_plans(self):
        usual = recipe_of(make("residual_encoder_unet", widths=(2,) * 7)).config
        assert usual.blocks == (1, 3, 4, 6, 6, 6, 6)
        assert usual.stem_width == 2

    def test_lists_of_a_file_are_the_same_as_tuples(self, tmp_path):
        written = config(strides=(1, (1, 2), 2), kernel_sizes=((1, 3), 3, 3))
        (tmp_path / "config.toml").write_text(to_toml(written))
        assert build(PlainConvUNetConfig, read_toml(tmp_path / "config.toml"), where="a file") == written

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"strides": (1, 2)}, "strides: has 2 values for 3 stages"),
            ({"strides": ()}, "strides"),
            ({"strides": (2, 2, 2)}, "the first stage has the resolution of the image"),
            ({"kernel_sizes": 4}, "must be odd"),
            ({"kernel_sizes": ((3, 3, 3),)}, "kernel_sizes"),
            ({"decoder_convolutions": (1, 1, 1)}, "has 3 values for 2 stages"),
            ({"widths": (4,)}, "widths"),
            ({"widths": (4, 0)}, "widths"),
            ({"dropout": 1.0}, "dropout"),
        ],
        ids=str,
    )
    def test_what_does_not_fit_is_refused(self, options, message):
        with pytest.raises(ConfigError, match=message):
            make(**options)

    def test_dropout_drops_in_training_only(self):
        model, image = make(dropout=0.5), torch.randn(1, 1, 16, 16)
        assert not torch.equal(model.train()(image)[0], model(image)[0])
        assert torch.equal(model.eval()(image), model(image))


@pytest.mark.parametrize("name", NAMES)
def test_checkpointing_changes_no_gradient(name):
    def gradients(enabled: bool) -> list[torch.Tensor]:
        model = make(name, norm="batch").train().use_checkpointing(enabled)
        image = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        sum(logits.square().mean() for logits in model(image)).backward()
        return [*(parameter.grad for parameter in model.parameters()), *model.buffers()]

    for with_it, without in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(with_it, without)


@pytest.mark.parametrize("name", NAMES)
def test_instance_norm_takes_statistics_and_no_more_context(name):
    instance, batch = measure(make(name), 1), measure(make(name, norm="batch"), 1)
    norms = [each for each in make(name).modules() if isinstance(each, InstanceNorm)]
    assert (instance.statistics, batch.statistics) == (len(norms), 0)
    assert instance.halo == batch.halo


def test_a_residual_block_starts_as_its_shortcut():
    block = make("residual_encoder_unet").encoders[1][1]
    x = torch.randn(1, 6, 4, 4).abs()
    assert torch.equal(block(x), x)
