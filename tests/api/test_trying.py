"""Trials: a short training in a place of its own."""

from dataclasses import replace

import pytest
import torch

from uvala.api.preparing import prepare
from uvala.api.trying import after_trials, trial_score
from uvala.api.wishes import asked_for
from uvala.config import override
from uvala.plan.budget import Clock
from uvala.runs.folder import RunFolder


@pytest.fixture
def prepared(disc_data):
    wishes = asked_for({"length.steps": 5, "patches.size": 32}, model="pocket_unet", device="cpu")
    return prepare(disc_data, wishes, None, Clock(None), torch.device("cpu"), None, 0.0)


@pytest.mark.parametrize(
    "length", [{}, {"length.budget": 600.0, "length.steps": None}], ids=["steps", "10 min"]
)
def test_without_much_time_nothing_is_tried(prepared, tmp_path, length):
    asked = replace(prepared, plan=override(prepared.plan, length, where="here"))
    assert after_trials(asked, {}, tmp_path, None, 0.0) is asked


@pytest.mark.slow  # ten seconds, the least that a training can have
def test_a_trial_trains_for_so_long_and_finds_the_discs(prepared, tmp_path):
    plan = override(prepared.plan, {"length.budget": 3600.0, "length.steps": None}, where="here")
    score = trial_score(replace(prepared, plan=plan), RunFolder(tmp_path), 10.0)
    assert RunFolder(tmp_path).plan.length.budget == 10
    assert 0.8 < score <= 1
