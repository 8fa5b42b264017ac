"""The curves of a log, and what they say about the length of a training."""

import numpy as np
import pytest

from uvala.report.curves import Progress, charts, progress, remarks

COLOURS = np.array([[40, 40, 40], [0, 150, 100]], dtype=np.uint8)
NAMES = ("background", "cell")


def trained(scores, losses=()):
    """A training that was validated every 10 seconds."""
    return Progress(
        loss=[(float(second), loss) for second, loss in enumerate(losses)],
        mean_dice=[(10.0 * check, value) for check, value in enumerate(scores, 1)],
        validation_loss=[],
        class_dice=[],
        best=int(np.argmax(scores)) if len(scores) else None,
    )


class TestProgress:
    def test_reads_steps_and_validations(self, log):
        curves = progress(log())
        assert len(curves.loss) == 100
        assert curves.mean_dice[-1] == (99.0, pytest.approx(0.81))
        assert [len(points) for points in curves.class_dice] == [10, 10]

    def test_the_last_event_called_best_is_the_best(self, log):
        assert progress(log(best_at=7)).best == 7

    def test_a_resumed_training_goes_on_in_time(self):
        first = [{"event": "step", "time": time, "loss": 1.0} for time in (0.0, 5.0)]
        times = [time for time, _ in progress([*first, *first]).loss]
        assert times == [0.0, 5.0, 5.0, 10.0]

    def test_what_is_missing_or_not_a_number_is_left_out(self):
        checks = [
            {"event": "validation", "time": 1.0, "mean_dice": None, "dice": [None, 0.5]},
            {"event": "validation", "time": 2.0, "mean_dice": 0.5, "dice": [0.5, float("nan")], "best": True},
        ]
        curves = progress(checks)
        assert curves.mean_dice == [(2.0, 0.5)]
        assert curves.class_dice == [[(2.0, 0.5)], [(1.0, 0.5)]]
        assert curves.best == 0


class TestRemarks:
    def test_a_score_that_still_rises_asks_for_more_time(self):
        assert "still rising" in remarks(trained([0.1, 0.3, 0.5, 0.6, 0.7, 0.8]))

    def test_a_plateau_says_that_more_time_alone_will_not_help(self):
        assert "unlikely to help" in remarks(trained([0.2, 0.6, 0.9, 0.901, 0.9, 0.901, 0.9, 0.9]))

    def test_a_falling_score_with_a_falling_loss_is_overfitting(self):
        losses = np.linspace(1.0, 0.1, 90)
        assert "overfitting" in remarks(trained([0.5, 0.8, 0.9, 0.88, 0.86, 0.84, 0.83, 0.82], losses))

    def test_a_falling_score_with_a_steady_loss_is_not(self):
        assert "overfitting" not in remarks(
            trained([0.5, 0.8, 0.9, 0.88, 0.86, 0.84, 0.83, 0.82], [0.5] * 90)
        )

    def test_nothing_learned_is_said(self):
        assert "learned next to nothing" in remarks(trained([0.01] * 8))

    def test_a_few_points_say_nothing(self):
        assert remarks(trained([0.1, 0.9])) == ""


class TestCharts:
    def test_loss_and_score_are_drawn_with_a_line_per_class(self, log):
        loss, score = charts(progress(log()), NAMES, COLOURS)
        assert [key.name for key in loss.keys] == ["training, smoothed", "training, each step logged"]
        assert [key.name for key in score.keys] == ["mean", *NAMES]
        assert "best 0.810" in score.svg

    def test_time_is_in_minutes_and_in_hours_when_there_are_many(self, log):
        short, long = log(), [{**event, "time": event["time"] * 200} for event in log()]
        assert ">minutes<" in charts(progress(short), NAMES, COLOURS)[0].svg
        assert ">hours<" in charts(progress(long), NAMES, COLOURS)[0].svg

    def test_an_empty_log_has_none(self):
        assert charts(progress([]), NAMES, COLOURS) == []
