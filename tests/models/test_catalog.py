"""Networks by name, and what a wrong name or option is answered with."""

import pytest

from uvala.errors import ConfigError, UnknownNameError
from uvala.models.catalog import create_model, model_config, model_names


def test_list_holds_the_networks_in_alphabetical_order():
    assert {"pocket_unet", "unet"} <= set(model_names())
    assert model_names() == sorted(model_names())


@pytest.mark.parametrize("ask", [lambda: create_model("poket_unet", in_channels=3, num_classes=2)])
def test_unknown_model_suggests_the_nearest_name(ask):
    with pytest.raises(UnknownNameError, match="did you mean 'pocket_unet'"):
        ask()


def test_config_of_an_unknown_model_suggests_the_nearest_name():
    with pytest.raises(UnknownNameError, match="did you mean 'unet'"):
        model_config("u-net")


def test_option_out_of_range_is_named_with_its_value():
    with pytest.raises(ConfigError, match="depth = 0 in model 'unet'"):
        create_model("unet", in_channels=3, num_classes=2, depth=0)


def test_width_above_max_width_is_refused():
    with pytest.raises(ConfigError, match="must be at least width, which is 600"):
        create_model("unet", in_channels=3, num_classes=2, width=600)


@pytest.mark.parametrize("name", model_names())
def test_every_option_has_a_default_and_a_sentence(name):
    fields = model_config(name).model_fields
    assert all(field.description and not field.is_required() for field in fields.values())
