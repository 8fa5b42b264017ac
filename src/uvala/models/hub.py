"""Weights that others publish, where there is no network: from the cache at once, or not at all at once.

The hub's own client asks again and again for a minute before it looks into its cache.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies

__all__ = ["cached_only_without_network"]

_SECONDS = 3.0  # in which a server that can be reached has answered


@contextmanager
def cached_only_without_network() -> Iterator[None]:
    """In this block the hub's client looks into its cache alone if the hub cannot be reached."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reachable(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(endpoint: str) -> bool:
    """Whether somebody answers at an address, or a proxy has to be asked instead."""
    place = urlsplit(endpoint)
    proxies = getproxies()
    if proxies.get(place.scheme) or proxies.get("all"):
        return True
    try:
        port = place.port or {"http": 80}.get(place.scheme, 443)
        socket.create_connection((place.hostname or "", port), _SECONDS).close()
    except OSError:
        return False
    return True
