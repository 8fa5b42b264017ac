"""The settings of an evaluation."""

import pytest

from uvala.config import build
from uvala.errors import ConfigError
from uvala.evaluation.config import EvaluationConfig


def config(**values):
    return build(EvaluationConfig, values, where="a test")


@pytest.mark.parametrize("spacing", ["0.5,0.25", (0.5, 0.25), [0.5, 0.25]], ids=str)
def test_a_pixel_has_two_sides(spacing):
    assert config(spacing=spacing, unit="um").spacing == (0.5, 0.25)


@pytest.mark.parametrize("spacing", ["0.5", 0.5, (0.5,)], ids=str)
def test_one_size_means_square_pixels(spacing):
    assert config(spacing=spacing, unit="um").spacing == (0.5, 0.5)


@pytest.mark.parametrize("spacing", ["0", "-1", "a", "1,2,3", "nan", "inf"])
def test_what_is_no_size_is_refused(spacing):
    with pytest.raises(
        ConfigError, match=f"^found spacing '{spacing}'; expected a size above 0, or two"
    ) as caught:
        config(spacing=spacing, unit="um")
    assert "together" not in str(caught.value)


def test_a_size_needs_a_unit():
    with pytest.raises(ConfigError, match="--unit um"):
        config(spacing=0.5)


def test_outlines_count_as_one_within_two_pixels_whatever_their_size():
    assert config().tolerated == 2.0
    assert config(spacing=0.5, unit="um").tolerated == 1.0
    assert config(spacing=0.5, unit="um", tolerance=3).tolerated == 3.0


def test_an_unknown_task_is_refused():
    with pytest.raises(ConfigError, match="task: input should be 'auto', 'semantic', 'membranes' or"):
        config(task="panoptic")
