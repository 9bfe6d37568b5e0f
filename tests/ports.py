"""Ports for servers that must know theirs before they start, while other test workers start servers too."""

from __future__ import annotations

import os
import random
import socket

FIRST, A_WORKER = 10_000, 5_000
"""Below 32768: from there on Linux gives ports to connections, so that one may be gone before its server
starts."""

# not the module's own generator: a test that seeds that one would be given the same ports again
_dice = random.SystemRandom()


def free_port() -> int:
    """A port of this computer that nobody uses now; each test worker draws from a range of its own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    first = FIRST + worker * A_WORKER
    for port in _dice.sample(range(first, first + A_WORKER), A_WORKER):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"all ports from {first} to {first + A_WORKER - 1} are in use; end what uses them.")
