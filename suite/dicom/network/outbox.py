"""What is on its way to other systems: kept in the database until a node has confirmed it.

``queued`` → ``sending`` → ``sent``, or back to ``queued`` with a later time, or ``failed`` at last. A
process that dies while it sends leaves ``sending`` with a time; when that has passed, anybody goes on.
Sending again does no harm: objects keep their UIDs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, CursorResult, and_, select, update

from suite.dicom.attributes import text
from suite.dicom.network.commitment import Commitments, ask, new_uid, references
from suite.dicom.network.nodes import DIMSE, Destination, destination_of
from suite.dicom.network.notes import Note, no_notes
from suite.dicom.network.result_objects import ResultObjects
from suite.dicom.network.rules import Rules, parse_rules
from suite.dicom.network.sending import DeliveryError, Sender
from suite.dicom.reading import read_dataset
from suite.errors import StorageError, SuiteError
from suite.jobs.database import Database
from suite.jobs.models import Node, Outgoing
from suite.jobs.queue import Clock
from suite.settings import Settings

_log = logging.getLogger(__name__)

LEASE_SECONDS = 300.0
"""How long an entry stays with a process that gives no sign of life; each confirmed object extends it."""

NODES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One reading on its way to one node, as this process holds it."""

    id: int
    job_id: str
    study_id: str
    attempts: int
    destination: Destination
    rules: Rules


class Outbox:
    """Delivers entries when they are due. Any number of processes may do so at once."""

    def __init__(
        self,
        database: Database,
        objects: ResultObjects,
        settings: Settings,
        note: Note = no_notes,
        *,
        clock: Clock = time.time,
    ) -> None:
        self._database = database
        self._objects = objects
        self._settings = settings
        self._note = note
        self._clock = clock
        self._sender = sender_of(settings)
        self._commitments = Commitments(database, settings.send_pause_seconds, note, clock)

    def deliver_due(self) -> int:
        """Offer everything that is due, nodes side by side; gives how many entries were sent.

        Raises:
            StorageError: the database refused.
        """
        self._repeat_uncommitted()
        nodes = self._due_nodes()
        if not nodes:
            return 0
        with ThreadPoolExecutor(min(NODES_AT_ONCE, len(nodes)), thread_name_prefix="outbox") as pool:
            return sum(pool.map(self._deliver_to, nodes))

    def hurry(self) -> int:
        """Make everything that waits due now; gives how many entries that are."""
        with self._database.write() as session:
            waiting = update(Outgoing).where(Outgoing.state == "queued")
            result = session.execute(waiting.values(next_attempt_at=self._clock()))
            return result.rowcount if isinstance(result, CursorResult) else 0

    def retry_failed(self) -> int:
        """Put what was given up back into the queue; gives how many entries that are."""
        with self._database.write() as session:
            failed = update(Outgoing).where(Outgoing.state == "failed")
            result = session.execute(failed.values(state="queued", attempts=0, next_attempt_at=self._clock()))
            return result.rowcount if isinstance(result, CursorResult) else 0

    def _due_nodes(self) -> list[int]:
        due = select(Outgoing.node_id).join(Node).where(Node.enabled, self._is_due()).distinct()
        with self._database.read() as session:
            return list(session.scalars(due))

    def _is_due(self) -> ColumnElement[bool]:
        waits = Outgoing.state.in_(("queued", "sending"))
        return and_(waits, Outgoing.next_attempt_at <= self._clock())

    def _deliver_to(self, node_id: int) -> int:
        """Entries for one node, oldest first, until it does not answer."""
        sent = 0
        while (entry := self._claim(node_id)) is not None:
            try:
                self._deliver(entry)
                sent += 1
            except DeliveryError as error:
                self._postpone(entry, error, node_id, whole_node=not error.reached)
                if not error.reached:
                    break
            except StorageError:
                raise
            except SuiteError as error:  # the reading cannot be made into objects: waiting changes nothing
                self._end(entry, "failed", str(error))
                _log.error(
                    "results of %s are not sent to %s: %s", entry.study_id, entry.destination.name, error
                )
        return sent

    def _claim(self, node_id: int) -> Entry | None:
        with self._database.write() as session:
            wanted = select(Outgoing.id).where(Outgoing.node_id == node_id, self._is_due())
            number = session.scalars(wanted.order_by(Outgoing.created_at, Outgoing.id).limit(1)).first()
            if number is None:
                return None
            taken = session.execute(
                update(Outgoing)
                .where(Outgoing.id == number, self._is_due())
                .values(
                    state="sending",
                    attempts=Outgoing.attempts + 1,
                    next_attempt_at=self._clock() + LEASE_SECONDS,
                )
            )
            if not isinstance(taken, CursorResult) or taken.rowcount != 1:
                return None
            row, node = session.get_one(Outgoing, number), session.get_one(Node, node_id)
            return Entry(
                row.id, row.job_id, row.study_id, row.attempts, destination_of(node), parse_rules(node.rules)
            )

    def _deliver(self, entry: Entry) -> None:
        files = _wanted(self._objects.of_job(entry.job_id), entry.rules)
        self._sender.send(entry.destination, files, lambda _uid: self._beat(entry))
        wants_commitment = entry.rules.commitment and entry.destination.kind == DIMSE
        transaction = new_uid() if wants_commitment else None
        self._end(entry, "sent", None, transaction)
        _log.info("%d objects of %s sent to %s", len(files), entry.study_id, entry.destination.name)
        facts = {"node": entry.destination.name, "objects": len(files)}
        self._note("results.sent", "system", entry.study_id, facts)
        if transaction is not None:
            self._ask_to_commit(entry, files, transaction)

    def _ask_to_commit(self, entry: Entry, files: Sequence[Path], transaction: str) -> None:
        """Ask the node to keep what it was sent; an answer on another association comes to the listener."""
        objects = references(files)
        patience = self._settings.commit_wait_seconds
        answer = ask(self._sender, entry.destination, objects, transaction, patience)
        if answer is not None:
            self._commitments.settle(answer, str(entry.destination))

    def _repeat_uncommitted(self) -> None:
        """Send again what a node was asked about and never answered for."""
        silent = (
            Outgoing.state == "sent",
            Outgoing.transaction_uid.is_not(None),
            Outgoing.committed_at.is_(None),
            Outgoing.sent_at <= self._clock() - self._settings.commit_seconds,
        )
        spent = Outgoing.attempts >= self._settings.send_attempts
        sentence = "It took the objects and did not answer for them (storage commitment); {}."
        with self._database.write() as session:
            if session.scalar(select(Outgoing.id).where(*silent).limit(1)) is None:
                return
            given_up = update(Outgoing).where(*silent, spent)
            session.execute(given_up.values(state="failed", error=sentence.format("ask who runs the node")))
            again = update(Outgoing).where(*silent).values(next_attempt_at=self._clock())
            session.execute(again.values(state="queued", error=sentence.format("they are sent again")))

    def _beat(self, entry: Entry) -> None:
        with self._database.write() as session:
            mine = update(Outgoing).where(Outgoing.id == entry.id, Outgoing.state == "sending")
            session.execute(mine.values(next_attempt_at=self._clock() + LEASE_SECONDS))

    def _postpone(self, entry: Entry, error: DeliveryError, node_id: int, *, whole_node: bool) -> None:
        """Try again later; when the node is down, everything meant for it waits as long."""
        _log.warning("results of %s not sent (attempt %d): %s", entry.study_id, entry.attempts, error)
        if entry.attempts >= self._settings.send_attempts:
            self._end(entry, "failed", str(error))
            facts = {"node": entry.destination.name, "attempts": entry.attempts}
            self._note("results.given_up", "system", entry.study_id, facts)
            return
        later = self._clock() + pause_seconds(entry.attempts, self._settings)
        with self._database.write() as session:
            session.execute(
                update(Outgoing)
                .where(Outgoing.id == entry.id)
                .values(state="queued", error=str(error)[:2000], next_attempt_at=later)
            )
            if whole_node:
                others = update(Outgoing).where(
                    Outgoing.node_id == node_id, Outgoing.state == "queued", Outgoing.next_attempt_at < later
                )
                session.execute(others.values(next_attempt_at=later))

    def _end(self, entry: Entry, state: str, error: str | None, transaction: str | None = None) -> None:
        now = self._clock()
        with self._database.write() as session:
            session.execute(
                update(Outgoing)
                .where(Outgoing.id == entry.id)
                .values(
                    state=state,
                    error=error[:2000] if error else None,
                    sent_at=now if state == "sent" else None,
                    transaction_uid=transaction,
                    committed_at=None,
                )
            )


def sender_of(settings: Settings) -> Sender:
    """How the settings' service introduces itself to nodes."""
    return Sender(
        settings.ae_title,
        settings.send_timeout_seconds,
        settings.send_ca,
        settings.send_certificate,
        settings.send_key,
    )


def pause_seconds(attempts: int, settings: Settings) -> float:
    """Pause after so many attempts: doubled each time, up to the settings' longest."""
    doubled = settings.send_pause_seconds * 2.0 ** min(attempts - 1, 30)
    return min(settings.send_longest_pause_seconds, doubled)


def _wanted(files: Sequence[Path], rules: Rules) -> list[Path]:
    """The objects a node wants; the report last, so that what it refers to is there before it."""
    kept = []
    for path in files:
        sop_class = text(read_dataset(path, path.name, pixels=False), "SOPClassUID") or ""
        if rules.wants(sop_class):
            kept.append((".1.88." in sop_class, path))
    return [path for _, path in sorted(kept, key=lambda item: item[0])]
