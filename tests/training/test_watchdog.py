import math

import numpy as np
import pytest

from drawn import write_discs
from jobs import job, same, state, train, weights
from uvala.errors import DataError
from uvala.plan.schema import WatchdogConfig
from uvala.training.loop import Training
from uvala.training.watchdog import Watch

CONFIG = WatchdogConfig(refused=3, divergence=3.0)


def watch(*losses: float) -> Watch:
    state = Watch()
    for loss in losses:
        state = state.after(loss)
    return state


class TestWatch:
    def test_the_smoothed_loss_is_an_exponential_average(self):
        losses = [1.0 + step % 7 for step in range(60)]
        weighed = [0.96 ** (59 - step) for step in range(60)]
        expected = sum(w * loss for w, loss in zip(weighed, losses, strict=True)) / sum(weighed)
        assert watch(*losses).smoothed == pytest.approx(expected, abs=1e-12)

    def test_a_few_refused_steps_are_borne(self):
        assert watch(1.0, math.nan, math.nan, 1.0, math.nan).trouble(CONFIG) is None

    def test_more_in_a_row_are_not(self):
        assert "not a number in 3 steps" in watch(1.0, math.nan, math.nan, math.nan).trouble(CONFIG)

    def test_a_loss_that_runs_away_is_trouble(self):
        assert "rose from 0.5 to" in watch(1.0, *[0.5] * 400, *[4.0] * 40).trouble(CONFIG)

    def test_a_loss_that_is_multiplied_but_small_is_none(self):
        """A nearly perfect fit: 0.001 and then 0.1 is no divergence of a loss that began at 1."""
        assert watch(1.0, *[0.001] * 400, *[0.1] * 40).trouble(CONFIG) is None

    def test_a_loss_below_nothing_can_run_away_too(self):
        assert watch(1.0, *[-0.5] * 40, *[9.0] * 60).trouble(CONFIG)
        assert watch(1.0, *[-0.5] * 40, *[0.9] * 60).trouble(CONFIG) is None

    def test_after_a_rewind_the_rate_rises_to_its_share(self):
        state = Watch().rewind(100)
        rates = [state.slowdown(step, WatchdogConfig(slower=0.5)) for step in (100, 112, 124, 500)]
        assert rates == pytest.approx([0.5 / 25, 0.5 * 13 / 25, 0.5, 0.5])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("data") / "discs", count=8)


STEEP = {
    # a rate at which plain gradient descent cannot but diverge, and no norm or clipping that would save it
    "model.name": "unet",
    "model.options": {"width": 4, "depth": 2, "norm": "none"},
    "optimiser.name": "sgd",
    "optimiser.learning_rate": 10.0,
    "optimiser.clip": 0.0,
    "optimiser.warmup": 0.0,
    "optimiser.schedule": "constant",
    "validation.rounds": 1,
    "watchdog.refused": 2,
    "length.steps": 60,
}


def spoil(training, steps) -> None:
    """Let the images of some steps be no numbers."""
    draw = training.sampler.windows

    def windows(step, slots):
        drawn = draw(step, slots)
        return drawn._replace(images=drawn.images * np.nan) if step in steps else drawn

    training.sampler.windows = windows


class TestTraining:
    """P18: what goes wrong is put back, slowed down and said; the best weights stay."""

    def test_gives_up_in_words(self, data, tmp_path):
        settings = {"watchdog.rewinds": 2, "watchdog.refused": 2}
        training = Training(job(data, tmp_path, settings=settings))
        spoil(training, range(5, 99))  # the weights of step 4 have been validated
        with pytest.raises(DataError, match=r"put back 2 times.*learning_rate below 0.003.*are kept"):
            training.run(lambda: False)
        assert training.progress.step == 11
        assert all(np.isfinite(values).all() for values in weights(tmp_path).values())

    def test_a_lower_rate_mends_it_and_is_told(self, data, tmp_path):
        events = []
        settings = {**STEEP, "watchdog.slower": 1e-4}
        training = train(data, tmp_path, settings=settings, listener=events.append)
        warnings = [event["text"] for event in events if event["event"] == "warning"]
        assert "put back to the first weights, learning rate times 0.0001" in warnings[0]
        assert training.progress.watch.rewinds == 1
        assert training.progress.watch.refused == 0

    def test_a_batch_that_is_no_number_leaves_no_trace(self, data, tmp_path):
        training = Training(job(data, tmp_path))
        spoil(training, range(5, 6))
        training.run(lambda: False)
        assert training.progress.watch.seen == 11
        assert all(np.isfinite(values).all() for values in state(tmp_path).values())

    def test_a_loss_scaled_down_by_refused_steps_is_scaled_as_at_the_start_again(self, data, tmp_path):
        settings = {"precision": "float16", "watchdog.refused": 6, "length.steps": 14}
        training = Training(job(data, tmp_path, settings=settings))
        spoil(training, range(4, 10))  # each halves the scale
        training.run(lambda: False)
        assert training.progress.watch.rewinds == 1
        assert training.scaler.get_scale() == 2.0**16

    @pytest.mark.parametrize("after", [5, 18, 30])
    def test_resumes_exactly(self, data, tmp_path, after):
        settings = {**STEEP, "watchdog.slower": 1e-4, "length.steps": 40}
        train(data, tmp_path / "whole", settings=settings)
        steps = iter(range(99))
        train(data, tmp_path / "cut", settings=settings, stop=lambda: next(steps) == after)
        train(data, tmp_path / "cut", settings=settings, resume=True)
        assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
        assert same(state(tmp_path / "whole"), state(tmp_path / "cut"))
