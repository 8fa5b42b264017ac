"""A checkpoint is written tensor by tensor: it takes next to no memory beside the training itself."""

import io
import tracemalloc

import pytest
import torch
from safetensors.torch import load, load_file
from torch import nn

from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import newest_state, pack_state, unpack_state, write_state
from uvala.training.progress import Progress
from uvala.training.tensor_file import write_tensors


class Mixed(nn.Module):
    """Weights of several types, shapes and layouts, about 4 MB."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)
        self.norm = nn.BatchNorm2d(8)  # counts its batches in an int64 without a shape
        self.large = nn.ParameterList(torch.randn(256, 1024) for _ in range(4))
        self.register_buffer("bits", torch.tensor([True, False, True]))
        self.register_buffer("coarse", torch.randn(3).bfloat16())
        self.register_buffer("nothing", torch.empty(0, 5))


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network and its optimiser after a step."""
    model = Mixed()
    optimiser = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimiser.step()
    return model, optimiser


def test_what_is_written_is_what_is_read(tmp_path):
    model, optimiser = trained()
    good = {key: value.clone() for key, value in model.state_dict().items()}
    write_state(RunFolder(tmp_path), pack_state({"model": model}, good, optimiser, Progress(step=7)))
    content, warning = newest_state(RunFolder(tmp_path))
    other, its_optimiser = trained()
    progress, kept = unpack_state(content, {"model": other}, its_optimiser, tmp_path)
    assert (progress.step, warning) == (7, "")
    for one, two in ((model.state_dict(), other.state_dict()), (good, kept)):
        assert all(torch.equal(value, two[key]) for key, value in one.items())
    moments, its_moments = (each.state_dict()["state"] for each in (optimiser, its_optimiser))
    assert all(torch.equal(value, its_moments[0][key]) for key, value in moments[0].items())


def test_writing_takes_less_memory_than_one_of_the_large_tensors(tmp_path):
    model, optimiser = trained()
    good = model.state_dict()
    tracemalloc.start()
    write_state(RunFolder(tmp_path), pack_state({"model": model}, good, optimiser, Progress()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert RunFolder(tmp_path).checkpoint_path.stat().st_size > 16 * 2**20
    assert peak < 2**20


class Counting(io.BytesIO):
    """A file that notes the largest piece it was given."""

    largest = 0

    def write(self, content):
        self.largest = max(self.largest, memoryview(content).nbytes)
        return super().write(content)


class TestFile:
    def test_is_one_that_safetensors_reads(self):
        state = trained()[0].state_dict()
        stream = io.BytesIO()
        write_tensors(stream, state, {"about": 'a "quoted" ü'})
        found = load(stream.getvalue())
        assert set(found) == set(state)
        assert all(
            torch.equal(found[key], value) and found[key].dtype == value.dtype for key, value in state.items()
        )

    def test_of_odd_lengths_is_read_where_it_lies(self, tmp_path):
        """Readers that map the file want each tensor at a multiple of the size of its numbers."""
        tensors = {"a": torch.tensor([1], dtype=torch.uint8), "b": torch.tensor([2.0]), "c": torch.tensor(3)}
        with (tmp_path / "file").open("wb") as stream:
            write_tensors(stream, tensors, {})
        found = load_file(tmp_path / "file")
        assert {key: value.item() for key, value in found.items()} == {"a": 1, "b": 2.0, "c": 3}

    def test_is_written_a_tensor_at_a_time(self):
        stream = Counting()
        write_tensors(stream, {str(number): torch.zeros(50_000) for number in range(5)}, {})
        assert stream.largest == 200_000

    def test_of_numbers_that_the_format_does_not_know_is_refused(self):
        with pytest.raises(KeyError, match="complex64"):
            write_tensors(io.BytesIO(), {"a": torch.zeros(1, dtype=torch.complex64)}, {})
