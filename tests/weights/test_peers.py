"""What is said of checkpoints that do not fit, and what holds for those that do."""

import pytest
import torch

from goldens import filled
from uvala.errors import ConfigError, UnknownNameError, WeightsError
from uvala.models.catalog import create_model, recipe_of
from uvala.weights.peers import from_peer, list_origins, match_peer, to_peer

FIRST = "inc.double_conv.0.weight"
LAST = "outc.conv.bias"


@pytest.fixture
def model() -> torch.nn.Module:
    return filled(create_model("pytorch_unet", in_channels=1, num_classes=2, width=4))


@pytest.fixture
def theirs(model) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in to_peer("milesial", model).items()}


def numbers(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.randn(1, 1, 32, 48, generator=torch.Generator().manual_seed(0)))


class TestOrigins:
    """An origin has a name, and so has what it cannot say."""

    def test_unknown_origin_suggests_the_nearest(self, theirs):
        with pytest.raises(UnknownNameError, match="did you mean 'milesial'"):
            from_peer("milesal", theirs)

    def test_unknown_origin_of_the_way_back_suggests_the_nearest(self, model):
        with pytest.raises(UnknownNameError, match="did you mean 'milesial'"):
            to_peer("milesal", model)

    def test_every_origin_has_a_name_that_is_taken(self):
        assert {"dna", "milesial"} <= set(list_origins())
        assert "auto" not in list_origins()

    @pytest.mark.parametrize("origin", ["milesial", "auto"])
    def test_unknown_hint_suggests_the_nearest(self, theirs, origin):
        with pytest.raises(ConfigError, match="bilinaer"):
            from_peer(origin, theirs, bilinaer=True)

    def test_unknown_hint_of_an_origin_suggests_the_nearest(self, theirs):
        with pytest.raises(ConfigError, match="did you mean 'bilinear'"):
            from_peer("milesial", theirs, bilinaer=True)

    def test_hint_that_contradicts_the_keys_is_refused(self, theirs):
        with pytest.raises(WeightsError, match=r"of another shape: inc\.double_conv"):
            from_peer("milesial", theirs, width=8)


class TestKeysThatDoNotFit:
    """The message names what is missing, what is unknown and what has another shape."""

    @pytest.mark.parametrize("origin", ["milesial", "auto"])
    def test_missing_key(self, theirs, origin):
        del theirs[LAST]
        with pytest.raises(WeightsError, match=rf"no UNet of .*missing: {LAST}"):
            from_peer(origin, theirs)

    def test_missing_key_that_the_network_is_recognised_by(self, theirs):
        del theirs[FIRST]
        with pytest.raises(WeightsError, match=FIRST):
            from_peer("milesial", theirs)

    @pytest.mark.parametrize("origin", ["milesial", "auto"])
    def test_unknown_key(self, theirs, origin):
        theirs["aux.weight"] = torch.ones(1)
        with pytest.raises(WeightsError, match=r"unknown: aux\.weight"):
            from_peer(origin, theirs)

    @pytest.mark.parametrize("origin", ["milesial", "auto"])
    def test_key_of_another_shape(self, theirs, origin):
        theirs[LAST] = torch.ones(5)
        with pytest.raises(WeightsError, match=rf"{LAST} is \[5\], not \[2\]"):
            from_peer(origin, theirs)

    @pytest.mark.parametrize("key", [FIRST, "outc.conv.weight"])
    @pytest.mark.parametrize("shape", [(), (4,), (4, 1, 3, 3, 3), (0, 0, 0, 0)], ids=str)
    @pytest.mark.parametrize("origin", ["milesial", "auto"])
    def test_key_of_other_dimensions(self, theirs, key, shape, origin):
        theirs[key] = torch.ones(shape)
        with pytest.raises((WeightsError, ConfigError)):
            from_peer(origin, theirs)

    def test_many_are_counted(self, theirs):
        theirs |= {f"aux.{place}": torch.ones(1) for place in range(9)}
        with pytest.raises(WeightsError, match="and 5 more"):
            from_peer("milesial", theirs)

    def test_of_two_networks_of_an_origin_the_nearer_is_named(self):
        theirs = to_peer("dna", create_model("plain_conv_unet", in_channels=1, num_classes=2, widths=(4, 6)))
        theirs["aux.weight"] = torch.ones(1)
        with pytest.raises(WeightsError, match=r"no PlainConvUNet: unknown: aux\.weight"):
            from_peer("dna", theirs)

    def test_keys_of_nobody(self):
        foreign = {f"transformer.{place}.attention.weight": torch.ones(2, 2) for place in range(9)}
        with pytest.raises(WeightsError, match=r"no known project uses \(transformer\.0"):
            from_peer("auto", foreign)

    @pytest.mark.parametrize("nothing", [{}, {"epoch": 3}, None, 3], ids=str)
    def test_nothing_at_all(self, nothing):
        with pytest.raises(WeightsError, match="expected the tensors of a network"):
            from_peer("auto", nothing)

    def test_whole_numbers_are_no_weights(self, theirs):
        theirs[FIRST] = theirs[FIRST].to(torch.int8)
        with pytest.raises(WeightsError, match=rf"{FIRST} of int8"):
            from_peer("milesial", theirs)


class TestNetworksOfOthers:
    """The way back is for networks that uvala made and the origin has."""

    def test_network_that_the_origin_has_not(self):
        with pytest.raises(WeightsError, match=r"found unet.*pytorch_unet"):
            to_peer("milesial", create_model("unet", in_channels=1, num_classes=2, width=4))

    def test_network_that_uvala_did_not_make(self):
        with pytest.raises(ConfigError, match="a Conv2d that uvala did not make"):
            to_peer("milesial", torch.nn.Conv2d(1, 1, 1))

    def test_auto_is_no_place_to_go(self, model):
        with pytest.raises(UnknownNameError, match="origin 'auto'"):
            to_peer("auto", model)


class TestNumbers:
    """Weights arrive as they were, in float32, and leave the caller's tensors alone."""

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16], ids=str)
    def test_other_precisions_become_float32(self, theirs, dtype):
        cast = {key: value.to(dtype) if value.is_floating_point() else value for key, value in theirs.items()}
        again = from_peer("milesial", cast)
        assert {value.dtype for value in again.state_dict().values()} == {torch.float32, torch.int64}
        state = to_peer("milesial", again)
        assert all(torch.equal(state[key], value.float()) for key, value in cast.items() if value.ndim)

    def test_float64_is_rounded_once(self, model, theirs):
        assert torch.equal(
            numbers(from_peer("milesial", {key: value.double() for key, value in theirs.items()})),
            numbers(model),
        )

    def test_missing_num_batches_tracked_is_zero(self, model, theirs):
        old = {key: value for key, value in theirs.items() if not key.endswith("num_batches_tracked")}
        again = from_peer("auto", old)
        assert torch.equal(numbers(again), numbers(model))
        assert to_peer("milesial", again).keys() == theirs.keys()

    def test_changing_the_network_does_not_change_the_callers_tensors(self, theirs):
        before = {key: value.clone() for key, value in theirs.items()}
        again = from_peer("milesial", theirs).train()
        again(torch.randn(2, 1, 32, 32)).square().mean().backward()
        with torch.no_grad():
            for parameter in again.parameters():
                parameter.add_(1)
        assert all(torch.equal(theirs[key], value) for key, value in before.items())

    def test_changing_the_callers_tensors_does_not_change_the_network(self, theirs):
        again = from_peer("milesial", theirs)
        before = numbers(again)
        for value in theirs.values():
            value.zero_()
        assert torch.equal(numbers(again), before)

    def test_parameters_learn_and_the_network_evaluates(self, theirs):
        again = from_peer("milesial", {key: value.requires_grad_(False) for key, value in theirs.items()})
        assert all(parameter.requires_grad and parameter.is_leaf for parameter in again.parameters())
        assert not any(module.training for module in again.modules())

    def test_the_global_generator_is_left_alone(self, theirs):
        before = torch.get_rng_state()
        from_peer("auto", theirs)
        assert torch.equal(torch.get_rng_state(), before)

    def test_a_match_can_be_made_of_shapes_alone(self, theirs):
        shapes = {key: torch.empty_like(value, device="meta") for key, value in theirs.items()}
        assert match_peer("auto", shapes).recipe == match_peer("milesial", theirs).recipe


def test_a_hint_may_have_the_name_of_the_projects_own_argument():
    model = create_model("r2unet", in_channels=1, num_classes=1, width=2, steps=3)
    theirs = to_peer("zoo_r2unet", model)
    assert recipe_of(from_peer("zoo_r2unet", theirs, t=3)).config.steps == 3
