"""Tensors as a safetensors file, written one by one: there is never a second copy of all of them.

The format (github.com/huggingface/safetensors): the length of the header in 8 bytes, the header in JSON, the
numbers of each tensor. All sizes are known from shapes, so the header can go first. The library's own writers
want every tensor on the CPU and contiguous at once, and older ones join them in memory besides.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from typing import IO, Any

import torch
from torch import Tensor

__all__ = ["checksum", "write_tensors"]

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_ALIGN = 8  # bytes; where the numbers begin


def write_tensors(stream: IO[bytes], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors, on whatever device, by their names. KeyError for a dtype unknown to the format."""
    # wide numbers first, as the library does it: then each tensor begins at a multiple of their size
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name in names:
        tensor, start = tensors[name], end
        end += tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGN)
    stream.write(struct.pack("<Q", len(text)) + text)
    for name in names:
        stream.write(_numbers(tensors[name]))


def checksum(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 of names and numbers, in the order of the names."""
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(_numbers(tensors[name]), zlib.crc32(name.encode(), total))
    return total


def _numbers(tensor: Tensor) -> memoryview:
    """The bytes of a tensor in their logical order; a copy only where it is not like that on the CPU."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
