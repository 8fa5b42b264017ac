import pytest

from uvala.plan.schema import OptimiserConfig
from uvala.training.schedule import Plateau, learning_rate


def config(**options) -> OptimiserConfig:
    return OptimiserConfig(learning_rate=0.1, **{"warmup": 0.2, **options})


@pytest.mark.parametrize(
    ("progress", "expected"), [(0.1, 0.05), (0.2, 0.1), (0.6, 0.05), (1.0, 0.0), (1.7, 0.0), (0.0, 0.001)]
)
def test_a_line_up_and_half_a_cosine_down(progress, expected):
    assert learning_rate(progress, config()) == pytest.approx(expected)


def test_without_warmup_the_highest_rate_comes_first():
    assert learning_rate(0.0, config(warmup=0)) == pytest.approx(0.1)


@pytest.mark.parametrize(("progress", "expected"), [(0.2, 0.1), (0.6, 0.055), (1.0, 0.01)])
def test_a_cosine_may_end_above_nothing(progress, expected):
    assert learning_rate(progress, config(lowest=0.1)) == pytest.approx(expected)


@pytest.mark.parametrize(("progress", "expected"), [(0.1, 0.05), (0.2, 0.1), (0.6, 0.1 * 0.5**0.9), (1, 0)])
def test_a_polynomial(progress, expected):
    assert learning_rate(progress, config(schedule="polynomial", power=0.9)) == pytest.approx(expected)


def test_a_constant_stays():
    assert {learning_rate(share, config(schedule="constant")) for share in (0.2, 0.7, 1.0)} == {0.1}


class TestPlateau:
    SETTINGS = config(schedule="plateau", patience=2, factor=0.5)

    def after(self, *scores: float) -> Plateau:
        state = Plateau()
        for score in scores:
            state = state.after(score, self.SETTINGS)
        return state

    def test_is_patient(self):
        assert self.after(0.5, 0.4, 0.5).factor == 1.0

    def test_falls_when_patience_is_at_its_end(self):
        assert self.after(0.5, 0.4, 0.5, 0.3).factor == 0.5

    def test_a_better_score_makes_it_patient_again(self):
        assert self.after(0.5, 0.4, 0.5, 0.6, 0.1, 0.2).factor == 1.0

    def test_falls_again_and_again(self):
        assert self.after(0.5, 0, 0, 0, 0, 0, 0).factor == 0.25

    def test_multiplies_the_rate(self):
        assert learning_rate(0.5, self.SETTINGS, self.after(0.5, 0, 0, 0).factor) == pytest.approx(0.05)
