import pytest
import torch
from torch import nn

from uvala.training.average import WeightAverage


def network(weight: float) -> nn.Module:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.constant_(model[0].weight, weight)
    return model


def test_is_the_exponential_average_of_the_weights():
    """P40: against the closed form."""
    average = WeightAverage(network(0.0), decay=0.5)
    for step in range(100, 104):  # long after the beginning, when the decay is the one that was asked for
        average.update(network(1.0), step)
    assert average.model[0].weight.item() == 1 - 0.5**4


def test_at_the_beginning_each_step_counts_ten_times_its_share():
    """P40: with the decay n / (n + 9) of step n, the weights of step k count as 10 comb(k + 8, 8) / ..."""
    model, average = network(0.0).double(), WeightAverage(network(0.0).double(), decay=0.9999)
    expected = 0.0
    for step in range(1, 40):
        nn.init.constant_(model[0].weight, step**2)
        average.update(model, step)
        expected = expected * step / (step + 9) + step**2 * 9 / (step + 9)
    assert average.model[0].weight.item() == pytest.approx(expected, abs=1e-9)


def test_the_first_weights_are_soon_forgotten():
    average = WeightAverage(network(1000.0), decay=0.99)
    for step in range(1, 31):
        average.update(network(1.0), step)
    assert abs(average.model[0].weight.item() - 1.0) < 0.01


def test_without_decay_it_is_the_last_weights():
    average = WeightAverage(network(0.0), decay=0.0)
    average.update(network(3.0), 7)
    assert average.model[0].weight.item() == 3.0


def test_counters_are_copied_and_statistics_averaged():
    average, model = WeightAverage(network(0.0), decay=0.5), network(0.0)
    model[1].num_batches_tracked += 7
    model[1].running_mean += 4
    average.update(model, 1000)
    assert average.model[1].num_batches_tracked.item() == 7
    torch.testing.assert_close(average.model[1].running_mean, torch.tensor([2.0]))


def test_the_average_of_a_network_in_another_memory_format():
    torch.manual_seed(0)
    model = nn.Conv2d(3, 4, 3)
    average = WeightAverage(nn.Conv2d(3, 4, 3), decay=0.0)
    average.update(model.to(memory_format=torch.channels_last), 5)
    assert torch.equal(average.model.weight, model.weight)
