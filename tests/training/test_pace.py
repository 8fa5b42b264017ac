from types import SimpleNamespace

from uvala.plan.schema import ValidationConfig
from uvala.training.pace import BudgetPace, StepPace


class FakeClock:
    """A clock that the test moves by hand: what is tested is arithmetic on time, not time."""

    budget = 100.0

    def __init__(self) -> None:
        self.elapsed = 0.0

    @property
    def remaining(self) -> float:
        return self.budget - self.elapsed


def budget_pace(clock: FakeClock, done: float = 0.0, pixels: int = 1000) -> BudgetPace:
    return BudgetPace(clock, ValidationConfig(), done=done, pixels_after=pixels, seconds_after=5.0)


class TestStepPace:
    def test_ends_after_its_steps(self):
        pace = StepPace(10, ValidationConfig())
        assert (pace.over(9), pace.over(10), pace.share(5)) == (False, True, 0.5)

    def test_validates_at_fixed_steps_and_at_the_last(self):
        pace = StepPace(45, ValidationConfig(rounds=4))
        assert [step for step in range(1, 46) if pace.validation_due(step)] == [12, 24, 36, 45]

    def test_validates_no_more_often_than_asked_for(self):
        pace = StepPace(39, ValidationConfig(rounds=20))
        assert sum(pace.validation_due(step) for step in range(1, 40)) == 20

    def test_the_time_left_follows_from_the_steps_so_far(self, monkeypatch):
        clock = FakeClock()
        monkeypatch.setattr("uvala.training.pace.time", SimpleNamespace(monotonic=lambda: clock.elapsed))
        pace = StepPace(30, ValidationConfig(), done=10)
        pace.reached(10)
        assert pace.seconds_left is None
        clock.elapsed = 8.0
        pace.reached(14)
        assert pace.seconds_left == 32.0


class TestBudgetPace:
    def test_ends_early_enough_for_what_follows(self):
        clock = FakeClock()
        pace = budget_pace(clock)
        pace.validated(
            1, seconds=2.0, seconds_per_pixel=0.002
        )  # the last validation 2 s, scoring 2 s, all else 5 s
        clock.elapsed = 90.0
        assert not pace.over(1)
        clock.elapsed = 91.0
        assert pace.over(1)

    def test_ends_at_the_step_that_comes_nearest(self):
        """Steps of 8 s: at 88 s another one would end at 96 s, 5 s too late instead of 3 s too early."""
        clock = FakeClock()
        pace = budget_pace(clock)
        pace.validated(1, seconds=2.0, seconds_per_pixel=0.002)  # the end is at 91 s
        clock.elapsed = 80.0
        pace.reached(7)
        assert not pace.over(7)
        clock.elapsed = 88.0
        pace.reached(8)
        assert pace.over(8)

    def test_long_steps_end_in_time(self):
        """Steps of 12 s, of which half is more than 5 s: at 80 s another one would end after 91 s."""
        clock = FakeClock()
        pace = budget_pace(clock)
        pace.validated(1, seconds=2.0, seconds_per_pixel=0.002)  # the end is at 91 s
        clock.elapsed = 66.0
        pace.reached(6)
        clock.elapsed = 78.0
        pace.reached(7)
        assert not pace.over(7)
        clock.elapsed = 80.0
        assert pace.over(7)

    def test_a_long_budget_bears_two_hundredths_of_it(self):
        """Half of 36 s is less than a fiftieth of 1000 s."""
        clock = FakeClock()
        clock.budget = 1000.0
        pace = budget_pace(clock)
        clock.elapsed = 930.0
        pace.reached(6)
        clock.elapsed = 966.0
        pace.reached(7)  # the end is at 995 s
        assert not pace.over(7)
        clock.elapsed = 978.0
        assert pace.over(7)

    def test_whether_it_ends_may_be_asked_as_often_as_one_likes(self):
        clock = FakeClock()
        pace = budget_pace(clock)
        pace.validated(1, seconds=2.0, seconds_per_pixel=0.002)  # the end is at 91 s
        clock.elapsed = 80.0
        pace.reached(7)
        clock.elapsed = 86.0
        assert not pace.over(8)
        clock.elapsed = 88.0
        pace.reached(8)
        assert pace.over(8)

    def test_no_validation_just_before_the_last_one(self):
        clock = FakeClock()
        pace = budget_pace(clock)
        pace.validated(1, seconds=2.0, seconds_per_pixel=0.002)
        clock.elapsed = 80.0
        assert pace.validation_due(7)
        clock.elapsed = 88.0
        assert not pace.validation_due(8)

    def test_at_most_a_third_of_the_budget_is_kept_back(self):
        clock = FakeClock()
        pace = budget_pace(clock, pixels=10**9)
        pace.validated(1, seconds=2.0, seconds_per_pixel=0.002)
        clock.elapsed = 64.0
        assert not pace.over(1)

    def test_the_share_never_falls_when_the_end_moves(self):
        clock = FakeClock()
        pace = budget_pace(clock)
        clock.elapsed = 30.0
        before = pace.share(10)
        pace.validated(10, seconds=0.1, seconds_per_pixel=1e-7)
        assert pace.share(10) >= before

    def test_a_resumed_training_goes_on_from_its_share(self):
        clock = FakeClock()
        clock.elapsed = 40.0
        pace = budget_pace(clock, done=0.4)
        assert pace.share(100) == 0.4
        clock.elapsed = 95.0
        assert pace.over(101)

    def test_a_resumed_training_knows_what_a_validation_takes(self):
        clock = FakeClock()
        clock.elapsed = 91.0
        pace = BudgetPace(
            clock,
            ValidationConfig(),
            done=0.9,
            pixels_after=1000,
            seconds_after=5.0,
            validation_seconds=2.0,
            seconds_per_pixel=0.002,
        )
        assert pace.over(100)

    def test_a_resumed_training_knows_how_long_a_step_takes(self):
        clock = FakeClock()
        clock.elapsed = 85.0  # of 95
        paces = [
            BudgetPace(
                clock,
                ValidationConfig(),
                done=0.9,
                pixels_after=0,
                seconds_after=5.0,
                step_seconds=seconds,
            )
            for seconds in (8.0, 12.0)
        ]
        assert [pace.over(100) for pace in paces] == [False, True]

    def test_a_slow_validation_comes_less_often(self):
        clock = FakeClock()
        quick, slow = budget_pace(clock), budget_pace(clock)
        quick.validated(1, seconds=0.01, seconds_per_pixel=1e-5)
        slow.validated(1, seconds=4.0, seconds_per_pixel=4e-3)
        clock.elapsed = 20.0
        assert (quick.validation_due(2), slow.validation_due(2)) == (True, False)

    def test_there_is_always_one_step(self):
        clock = FakeClock()
        clock.elapsed = 200.0
        pace = budget_pace(clock)
        assert (pace.over(0), pace.over(1)) == (False, True)
