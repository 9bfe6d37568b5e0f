"""Objects to another system, whichever way it takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.dicom.network.nodes import STOW, Destination
from suite.errors import SuiteError

Sent = Callable[[str], None]
"""Called with the SOP Instance UID of each object the node has confirmed."""


class DeliveryError(SuiteError):
    """A node could not be reached or did not take an object; trying again later may help."""

    def __init__(self, sentence: str, *, reached: bool) -> None:
        super().__init__(sentence)
        self.reached = reached


@dataclass(frozen=True, slots=True)
class Sender:
    """How this suite introduces itself, and how long it waits.

    Attributes:
        ae_title: its own AE title.
        timeout_seconds: for the connection and for each answer.
        ca, certificate, key: PEM files for nodes with TLS; ``None`` trusts what the system trusts, and shows
            no certificate.
    """

    ae_title: str
    timeout_seconds: float
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def send(self, destination: Destination, files: Sequence[Path], on_sent: Sent = lambda uid: None) -> None:
        """Send DICOM files; returns when the node has confirmed all of them.

        Raises:
            DeliveryError: it did not confirm all; those already confirmed were told to ``on_sent``.
            InputError: a file is no DICOM object.
        """
        if not files:
            return
        if destination.kind == STOW:
            from suite.dicom.network.stow import push

            push(self, destination, files, on_sent)
        else:
            from suite.dicom.network.store_user import store

            store(self, destination, files, on_sent)

    def check(self, destination: Destination) -> None:
        """Whether the node answers: C-ECHO, or a search for one study.

        Raises:
            DeliveryError: it does not.
        """
        if destination.kind == STOW:
            from suite.dicom.network.stow import probe

            probe(self, destination)
        else:
            from suite.dicom.network.store_user import echo

            echo(self, destination)
