"""Functions run by several processes at once, as torchrun would start them, for tests."""

import multiprocessing
import os
import pickle
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

# forked from a server that has imported torch (_dynamo: what wrapping a network would import) and started no
# thread: a rank is there in milliseconds
_START = multiprocessing.get_context("forkserver")
_START.set_forkserver_preload(["torch._dynamo", "uvala.api.training"])
_SECONDS = 300  # a rank that waits for ever must not make the tests wait for ever


def run_ranks(function: Callable[..., Any], size: int, *arguments: Any, **options: Any) -> list[Any]:
    """What `function(*arguments, **options)` returns on each of `size` ranks, or the exception it raises.

    function: of a module that a new process can import, so not of a test file.
    """
    port = free_port()
    pipes = [_START.Pipe(duplex=False) for _ in range(size)]
    processes = [
        _START.Process(
            target=_work, args=(send, rank, size, port, function, pickle.dumps((arguments, options)))
        )
        for rank, (_, send) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    try:
        for _, send in pipes:
            send.close()
        return [_answer(receive) for receive, _ in pipes]
    finally:
        for process in processes:
            process.join(timeout=10)
            process.kill()


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answer(receive: Connection) -> Any:
    if not receive.poll(_SECONDS):
        raise TimeoutError(f"a rank has not answered within {_SECONDS} seconds")
    try:
        return pickle.loads(receive.recv_bytes())
    except EOFError:
        return None  # it was killed


def _work(
    send: Connection, rank: int, size: int, port: int, function: Callable[..., Any], arguments: bytes
) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    import torch

    torch.set_num_threads(1)
    found: Any
    try:
        given, options = pickle.loads(arguments)
        found = function(*given, **options)
    except Exception as error:
        traceback.print_exc()
        found = error
    # as bytes: a tensor itself would travel as shared memory, which ends with this process
    send.send_bytes(pickle.dumps(found))
