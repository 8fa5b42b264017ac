"""What a training step costs: measured where there is time, scaled by its work where there is none."""

import math
import sys
from dataclasses import replace

import pytest
import torch

from machines import TWO_CORES
from uvala.plan.machine import Machine, look_at_machine
from uvala.plan.prices import Prices, fits
from uvala.plan.probe import StepCost, measure_step
from uvala.plan.work import Candidate, work_of

CPU = torch.device("cpu")
POCKET = Candidate("pocket_unet", 1, 2, 32, 2)


class TestWork:
    def test_of_a_convolution_is_what_the_formula_says(self):
        """unet of one level: 3x3 convolutions 1-4-4, no way up, a head of 1x1 to 2 classes."""
        only = {"depth": 1, "width": 4, "convolutions": 1, "norm": "none", "up": "bilinear"}
        candidate = Candidate("unet", 1, 2, 16, 1).with_options(only)
        levels = 256 * 9 * 1 * 4 + 64 * 9 * 4 * 8  # down
        levels += 64 * 8 * 4 + 256 * 9 * 8 * 4 + 256 * 4 * 2  # up, merge, head
        assert work_of(candidate).multiply_adds == levels

    def test_grows_with_the_area_and_not_with_the_batch(self):
        twice = Candidate("pocket_unet", 1, 2, 64, 8)
        assert work_of(twice).multiply_adds == 4 * work_of(POCKET).multiply_adds
        assert work_of(twice).weights == work_of(POCKET).weights

    def test_counts_the_weights(self):
        model = POCKET.network()
        assert work_of(POCKET).weights == sum(each.numel() for each in model.parameters())

    def test_leaves_the_global_generator_alone(self):
        torch.manual_seed(0)
        expected = torch.rand(2)
        torch.manual_seed(0)
        work_of(Candidate("pocket_unet", 1, 3, 96, 2))
        assert torch.equal(torch.rand(2), expected)

    def test_memory_grows_with_the_batch_and_shrinks_with_half_precision(self):
        work = work_of(POCKET)
        assert work.memory(1, half=True) < work.memory(1) < work.memory(2)

    def test_memory_shrinks_with_the_parts_of_a_batch(self):
        work = work_of(POCKET)
        assert work.memory(4, at_once=4) == work.memory(4)
        assert work.memory(2) < work.memory(4, at_once=2) < work.memory(4)  # the loss sees all four

    def test_options_at_their_defaults_make_no_other_candidate(self):
        assert POCKET.with_options({"width": 16}) == POCKET

    def test_options_of_other_weights_are_left_out(self):
        assert POCKET.with_options({"pretrained": True, "width": 4}).options == (("width", 4),)


class TestMeasuring:
    def test_takes_some_time_and_memory(self):
        cost = measure_step(POCKET, 0.2, CPU)
        assert 0 < cost.seconds < 10
        assert cost.fits
        if sys.platform == "linux":
            assert cost.memory > 10 * 2**20  # of the whole process

    def test_takes_every_format_and_precision(self):
        for changes in (
            {"memory_format": "mixed"},
            {"memory_format": "channels_last"},
            {"precision": "bfloat16"},
        ):
            candidate = Candidate("pocket_unet", 1, 2, 32, 2, **changes)
            assert measure_step(candidate, 0.0, CPU).fits

    def test_takes_networks_with_several_outputs(self):
        candidate = Candidate("unetpp", 1, 2, 32, 2).with_options({"width": 4, "deep_supervision": True})
        assert measure_step(candidate, 0.0, CPU).fits


class TestCompiler:
    @pytest.fixture
    def without(self, monkeypatch):
        """torch.compile as it fails where there is no C++ compiler: at the first step, in several lines."""

        def compiled(*args):
            raise RuntimeError(
                "backend='inductor' raised:\nInvalidCxxCompiler: no working C++ compiler\n\nhints"
            )

        monkeypatch.setattr(torch, "compile", lambda model, **options: compiled)

    def test_that_fails_is_one_that_is_not_there(self, without):
        cost = measure_step(replace(POCKET, compile=True), 0.0, CPU)
        assert (cost.seconds, cost.fits) == (math.inf, False)
        assert cost.trouble == "InvalidCxxCompiler: no working C++ compiler"

    def test_that_fails_is_told_in_a_line_of_evidence(self, without):
        prices = Prices(lambda *args: measure_step(*args, CPU), Machine(CPU, 2**30), 1.0)
        prices.measure(replace(POCKET, compile=True), 0.0)
        assert prices.evidence[0].endswith(
            "compiled: torch.compile fails here (InvalidCxxCompiler: no working C++ compiler)"
        )

    def test_is_not_blamed_for_other_errors(self, monkeypatch):
        def fail(*args):
            raise RuntimeError("a bug")

        monkeypatch.setattr("uvala.plan.probe.augment_batch", fail)
        with pytest.raises(RuntimeError, match="a bug"):
            measure_step(POCKET, 0.0, CPU)


class TestPrices:
    @staticmethod
    def prices(left=10.0, memory=TWO_CORES.memory, probe=TWO_CORES.probe):
        return Prices(probe, Machine(CPU, memory), left)

    def test_the_first_is_measured_and_others_are_scaled_by_their_work(self):
        prices = self.prices()
        one = prices.seconds(POCKET)
        assert prices.seconds(Candidate("pocket_unet", 1, 2, 32, 4)) == pytest.approx(one * 2**0.9)
        assert list(prices.measured) == [POCKET]

    def test_others_are_scaled_from_what_is_computed_alike(self):
        fake = replace(TWO_CORES, slower=(("mixed", 0.5),))
        prices, mixed = self.prices(probe=fake.probe), replace(POCKET, memory_format="mixed")
        prices.seconds(POCKET)
        one = prices.seconds(mixed, exactly=True)
        assert prices.seconds(replace(mixed, batch=4)) == pytest.approx(one * 2**0.9)

    def test_a_batch_in_parts_goes_forward_twice(self):
        prices, parts = self.prices(), replace(POCKET, batch=8, accumulate=4)
        one = prices.seconds(POCKET)
        assert prices.seconds(parts) == pytest.approx(4 * one * 4 / 3)
        assert list(prices.measured) == [POCKET]

    def test_a_batch_in_parts_fits_where_the_whole_does_not(self):
        whole = replace(POCKET, batch=64)
        machine = Machine(CPU, work_of(POCKET).memory(32))
        assert not fits(whole, machine)
        assert fits(replace(whole, accumulate=8), machine)

    def test_a_second_is_measured_where_it_is_asked_for_exactly(self):
        prices, other = self.prices(), Candidate("pocket_unet", 1, 2, 64, 4)
        prices.seconds(POCKET)
        assert prices.seconds(other, exactly=True) == TWO_CORES.probe(other, 0).seconds

    def test_without_time_left_nothing_else_is_measured(self):
        prices, other = self.prices(left=0.0), Candidate("pocket_unet", 1, 2, 64, 4)
        prices.seconds(POCKET)
        prices.seconds(other, exactly=True)
        assert list(prices.measured) == [POCKET]

    def test_what_is_too_large_is_not_tried(self):
        def fail(candidate, seconds):
            raise AssertionError

        assert self.prices(memory=2**20, probe=fail).seconds(POCKET) == math.inf
        assert not fits(POCKET, Machine(CPU, 2**20))

    def test_what_turned_out_too_large_is_no_measure_for_others(self):
        prices = self.prices(probe=lambda candidate, seconds: StepCost(math.inf))
        assert prices.seconds(POCKET) == math.inf
        assert prices.seconds(Candidate("pocket_unet", 1, 2, 64, 4)) == math.inf
        assert "does not fit" in prices.evidence[0]

    def test_evidence_names_network_patches_time_and_memory(self):
        prices = self.prices()
        prices.seconds(Candidate("unet", 1, 2, 64, 2).with_options({"fold": 2, "depth": 2, "width": 8}))
        assert prices.evidence[0].startswith(
            "unet (depth 2, fold 2, width 8), 2 patches of 64, contiguous: 5 ms a step"
        )


class TestMachine:
    def test_has_memory(self):
        assert 2**26 < look_at_machine(CPU).memory < 2**50

    def test_whose_size_does_not_depend_on_what_else_runs(self):
        first, _, second = (
            look_at_machine(CPU, at_once=False),
            [0] * 10**6,
            look_at_machine(CPU, at_once=False),
        )
        assert first == second
