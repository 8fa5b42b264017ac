import pytest

from uvala.plan.schema import OptimiserConfig
from uvala.training.schedule import learning_rate

CONFIG = OptimiserConfig(learning_rate=0.1, warmup=0.2)


@pytest.mark.parametrize(
    ("progress", "expected"), [(0.1, 0.05), (0.2, 0.1), (0.6, 0.05), (1.0, 0.0), (1.7, 0.0), (0.0, 0.001)]
)
def test_a_line_up_and_half_a_cosine_down(progress, expected):
    assert learning_rate(progress, CONFIG) == pytest.approx(expected)


def test_without_warmup_the_highest_rate_comes_first():
    assert learning_rate(0.0, OptimiserConfig(learning_rate=0.1, warmup=0)) == pytest.approx(0.1)
