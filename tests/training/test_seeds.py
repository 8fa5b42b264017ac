import torch

from uvala.training.seeds import sample_generator, step_seed


def test_a_sample_has_the_same_numbers_each_time():
    one, other = (torch.rand(3, generator=sample_generator(7, 123)) for _ in range(2))
    assert torch.equal(one, other)


def test_samples_seeds_steps_ranks_and_parts_differ():
    drawn = {sample_generator(*pair).initial_seed() for pair in [(7, 123), (7, 124), (8, 123)]}
    drawn |= {step_seed(*names) for names in [(7, 123, 0), (7, 123, 1), (7, 124, 0), (7, 123, 0, 1)]}
    assert len(drawn) == 7
