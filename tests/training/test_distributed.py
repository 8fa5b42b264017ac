"""One rank and N ranks: the same numbers."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from many_ranks import run_ranks
from rank_tasks import conversation, one_fails, one_is_killed, ratio_of_sums
from uvala.errors import ConfigError, DataError, RankError
from uvala.training.distributed import World
from uvala.training.ranks import Place, read_place

TORCHRUN = {"RANK": "2", "WORLD_SIZE": "4", "LOCAL_RANK": "0", "MASTER_ADDR": "node1", "MASTER_PORT": "29500"}


class TestPlace:
    """What the environment says of this process."""

    def test_without_torchrun_a_process_is_alone(self):
        assert read_place({"PATH": "/bin"}) == Place(rank=0, size=1, local_rank=0)

    def test_is_what_torchrun_says(self):
        assert read_place(TORCHRUN) == Place(rank=2, size=4, local_rank=0)

    def test_one_process_needs_no_address(self):
        assert read_place({"RANK": "0", "WORLD_SIZE": "1"}) == Place()

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"RANK": "4"}, "RANK=4, LOCAL_RANK=0 and WORLD_SIZE=4"),
            ({"RANK": "-1"}, "0 <= LOCAL_RANK <= RANK < WORLD_SIZE"),
            ({"LOCAL_RANK": "3"}, "LOCAL_RANK=3"),
            ({"WORLD_SIZE": "four"}, "WORLD_SIZE=four"),
            ({"MASTER_ADDR": ""}, "RANK and WORLD_SIZE in the environment, but no MASTER_ADDR"),
            ({"WORLD_SIZE": ""}, "RANK in the environment, but no WORLD_SIZE"),
        ],
    )
    def test_nonsense_is_named(self, changes, message):
        with pytest.raises(ConfigError, match=message):
            read_place(TORCHRUN | changes)


class TestDevice:
    """What a rank computes on."""

    def test_on_the_cpu_every_rank_has_it(self):
        assert World(rank=1, size=2, local_rank=1).own_device(torch.device("cpu")) == torch.device("cpu")

    def test_alone_takes_what_was_asked_for(self):
        assert World.alone().own_device(torch.device("cuda", 3)) == torch.device("cuda", 3)

    def test_one_gpu_cannot_be_named_for_all(self):
        with pytest.raises(ConfigError, match="device 'cuda:0' for 2 processes"):
            World(size=2).own_device(torch.device("cuda", 0))

    def test_more_ranks_than_gpus_are_refused(self):
        there = torch.cuda.device_count()
        with pytest.raises(ConfigError, match=f"--nproc-per-node {there}, or choose --device cpu"):
            World(rank=there, size=there + 2, local_rank=there).own_device(torch.device("cuda"))


class TestAlone:
    """One process asks itself."""

    def test_sums_are_what_they_are_of(self):
        values, tensor = np.arange(3), torch.ones(2, requires_grad=True)
        assert World.alone().total(values) is values
        assert World.alone().sum(tensor) is tensor

    def test_the_model_is_not_wrapped(self):
        model = torch.nn.BatchNorm2d(1)
        assert World.alone().wrap(model) is model

    def test_fills_the_whole_batch(self):
        assert World.alone().slots(5) == range(5)


@pytest.fixture(scope="module")
def said():
    return run_ranks(conversation, 3)


class TestThreeRanks:
    """What ranks tell each other."""

    def test_know_their_places(self, said):
        assert [each["place"] for each in said] == [(0, 3, 0, True), (1, 3, 1, False), (2, 3, 2, False)]

    def test_fill_the_batch_together(self, said):
        assert [number for each in said for number in each["slots"]] == list(range(6))

    def test_totals_are_exact_in_whole_numbers(self, said):
        for each in said:
            np.testing.assert_array_equal(each["total"], np.array([[3, 3 * 2**53]]))

    def test_hear_of_what_one_of_them_saw(self, said):
        assert [each["any"] for each in said] == [(True, False)] * 3

    def test_take_over_the_number_of_rank_0(self, said):
        assert [each["from main"] for each in said] == [0.1] * 3

    def test_take_over_the_bytes_of_rank_0(self, said):
        assert [each["shared"] for each in said] == ["Übersicht"] * 3
        assert [each["nothing shared"] for each in said] == [b""] * 3


def test_the_averaged_gradient_of_a_sum_over_ranks_is_that_of_one_process():
    values = torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.float64)
    found = run_ranks(ratio_of_sums, 2, values)
    # loss = S2 / S1, d loss / d v = (2 v S1 - S2) / S1^2; the average over ranks is halved for what one has
    expected = (2 * values * 11 - 39) / 11**2
    assert [loss for loss, _ in found] == [39 / 11] * 2
    assert_close(torch.stack([gradient for _, gradient in found]), expected)


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    with pytest.raises(ConfigError, match=r"patches\.batch=8"):
        World(rank=0, size=4).slots(7)
    with pytest.raises(ConfigError, match=r"patches\.batch=4"):
        World(rank=0, size=4).slots(1)


class TestEndOfARank:
    """The others end, too, and say what they know."""

    def test_an_error_of_one_ends_all(self):
        first, second, third = run_ranks(one_fails, 3)
        assert isinstance(second, DataError)
        assert isinstance(first, RankError)
        assert isinstance(third, RankError)
        assert "--resume" in str(first)

    def test_a_killed_one_ends_all(self):
        first, second = run_ranks(one_is_killed, 2)
        assert second is None
        assert isinstance(first, RankError)
