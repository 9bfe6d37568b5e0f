"""Who holds a lease: host, process, and a token that no earlier process of the same number had."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """One worker process. As text: ``host:pid:token``."""

    host: str
    pid: int
    token: str

    @classmethod
    def of_this_process(cls) -> WorkerIdentity:
        """A fresh identity for the process that calls."""
        return cls(socket.gethostname().replace(":", "_"), os.getpid(), secrets.token_hex(4))

    @classmethod
    def parse(cls, text: str) -> WorkerIdentity | None:
        """The identity a row names, or ``None`` if the text is not one."""
        host, _, rest = text.partition(":")
        pid, _, token = rest.partition(":")
        return cls(host, int(pid), token) if pid.isdigit() and token else None

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}:{self.token}"

    def knows_dead(self, other: WorkerIdentity) -> bool:
        """Whether ``other`` ran on this host and its process is certainly gone.

        A process number that lives again under another program counts as alive; its lease then simply
        expires.
        """
        if other.host != self.host or other.token == self.token:
            return False
        if other.pid == self.pid:  # a restarted container gives the same number to the next worker
            return True
        try:
            os.kill(other.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False
