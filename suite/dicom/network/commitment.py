"""Storage commitment (PS3.4 J, push model) as its user: does a node keep what it was sent?

After C-STORE a node is asked (N-ACTION) to take the responsibility for the objects. It answers
(N-EVENT-REPORT) on the same association, or later on one of its own to the listener. Until then an entry of
the outbox is sent and not committed; what a node does not keep, or never answers for, is sent again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from suite.dicom.attributes import integer, text, to_uid
from suite.dicom.network.nodes import Destination
from suite.dicom.network.notes import Note, no_notes
from suite.dicom.network.sending import DeliveryError, Sender
from suite.dicom.reading import read_dataset
from suite.jobs.database import Database
from suite.jobs.models import Node, Outgoing
from suite.jobs.queue import Clock

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom.events import Event

_log = logging.getLogger(__name__)

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST = 1
"""Action type of a request (PS3.4 table J.3.2)."""

ALL_KEPT, SOME_NOT_KEPT = 1, 2
"""Event types of an answer (PS3.4 table J.3.3)."""

NO_SUCH_OBJECT, CLASS_DIFFERS = 0x0112, 0x0119
"""Failure reasons (PS3.3 C.14.1.1)."""

SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


@dataclass(frozen=True, slots=True)
class Reference:
    """One object by its class and its UID."""

    class_uid: str
    instance_uid: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """A node's answer: objects it does not keep, with the standard's reasons; none when it keeps all."""

    transaction_uid: str
    failed: tuple[tuple[str, int], ...] = ()


class Commitments:
    """What nodes answer, written into the outbox."""

    def __init__(
        self, database: Database, pause_seconds: float, note: Note = no_notes, clock: Clock = time.time
    ) -> None:
        self._database = database
        self._pause_seconds = pause_seconds
        self._note = note
        self._clock = clock

    def settle(self, answer: Commitment, sender: str) -> bool:
        """Note an answer; false when nothing waits for one of this transaction.

        Raises:
            StorageError: the database refused.
        """
        waits = select(Outgoing).where(
            Outgoing.transaction_uid == answer.transaction_uid, Outgoing.committed_at.is_(None)
        )
        with self._database.write() as session:
            row = session.scalars(waits).one_or_none()
            if row is None:
                return False
            study_id, node = row.study_id, session.get_one(Node, row.node_id).name
            if answer.failed:
                uid, reason = answer.failed[0]
                row.state, row.transaction_uid = "queued", None
                row.next_attempt_at = self._clock() + self._pause_seconds
                row.error = (
                    f"{node}: does not keep {len(answer.failed)} of the objects, the first is {uid} "
                    f"(0x{reason:04X}); they are sent again."
                )
                _log.warning("results of %s are not kept by %s (0x%04X)", study_id, node, reason)
            else:
                row.committed_at, row.error = self._clock(), None
        action = "results.not_kept" if answer.failed else "results.committed"
        self._note(action, sender, study_id, {"node": node, "failed": len(answer.failed)})
        return True


def new_uid() -> str:
    """A UID for a transaction."""
    from pydicom.uid import generate_uid

    return str(generate_uid())


def references(files: Sequence[Path]) -> list[Reference]:
    """The objects in files, by their headers.

    Raises:
        InputError: a file is no DICOM object.
    """
    found = []
    for path in files:
        dataset = read_dataset(path, path.name, pixels=False)
        found.append(Reference(text(dataset, "SOPClassUID") or "", text(dataset, "SOPInstanceUID") or ""))
    return found


def ask(
    sender: Sender,
    destination: Destination,
    objects: Sequence[Reference],
    transaction_uid: str,
    wait_seconds: float,
) -> Commitment | None:
    """Ask a node to commit itself; its answer, or ``None`` when it gives none on this association.

    Raises:
        DeliveryError: the node cannot be reached, or does not take the request.
    """
    from pynetdicom import evt

    from suite.dicom.network.store_user import association_with

    heard = threading.Event()
    answers: list[Commitment] = []

    def on_report(event: Event) -> tuple[int, None]:
        answers.append(read_answer(event.event_information))
        return 0x0000, None

    def on_sent(_: Event) -> None:
        if answers:  # the node has its receipt; released before that, it would never get one
            heard.set()

    contexts = [(PUSH_MODEL, syntax) for syntax in SYNTAXES]
    handlers = [(evt.EVT_N_EVENT_REPORT, on_report), (evt.EVT_PDU_SENT, on_sent)]
    with association_with(sender, destination, contexts, handlers) as association:
        status = _request(association, destination, objects, transaction_uid)
        if status != 0x0000:
            raise DeliveryError(
                f"{destination.name}: it refused to commit itself to the objects (0x{status:04X}); allow "
                "storage commitment there, or leave it out in the node's rules.",
                reached=True,
            )
        heard.wait(wait_seconds)
    return next((item for item in answers if item.transaction_uid == transaction_uid), None)


def _request(
    association: Any, destination: Destination, objects: Sequence[Reference], transaction_uid: str
) -> int:
    answer, _ = association.send_n_action(
        wording(transaction_uid, objects), REQUEST, to_uid(PUSH_MODEL), to_uid(PUSH_MODEL_INSTANCE)
    )
    status = integer(answer, "Status")
    if status is None:
        raise DeliveryError(
            f"{destination.name}: the connection broke while storage commitment was asked for; try again.",
            reached=False,
        )
    return status


def wording(
    transaction_uid: str, kept: Sequence[Reference], failed: Sequence[tuple[Reference, int]] = ()
) -> Dataset:
    """A request, or an answer, in the standard's words (PS3.4 tables J.3-1 and J.3-2)."""
    from pydicom.dataset import Dataset

    dataset = Dataset()
    dataset.TransactionUID = transaction_uid
    if kept:
        dataset.ReferencedSOPSequence = [_item(reference) for reference in kept]
    if failed:
        dataset.FailedSOPSequence = []
        for reference, reason in failed:
            item = _item(reference)
            item.FailureReason = reason
            dataset.FailedSOPSequence.append(item)
    return dataset


def read_references(dataset: Dataset) -> list[Reference]:
    """The objects that a request names."""
    items = dataset.get("ReferencedSOPSequence") or ()
    return [
        Reference(text(item, "ReferencedSOPClassUID") or "", text(item, "ReferencedSOPInstanceUID") or "")
        for item in items
    ]


def read_answer(dataset: Dataset) -> Commitment:
    """A node's answer."""
    failed = tuple(
        (text(item, "ReferencedSOPInstanceUID") or "", integer(item, "FailureReason") or NO_SUCH_OBJECT)
        for item in dataset.get("FailedSOPSequence") or ()
    )
    return Commitment(text(dataset, "TransactionUID") or "", failed)


def _item(reference: Reference) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = reference.class_uid
    item.ReferencedSOPInstanceUID = reference.instance_uid
    return item
