"""Storage commitment as its provider: the listener answers for what it keeps.

An object counts as kept when its file lies in the archive, flushed to the disk, under the class that is asked
about. The answer goes over an association of this suite's own to the node with the asking AE title, if there
is such a node, and else over the association that asked, if it is still there a moment later: whoever has his
answer elsewhere ends it at once, and a report that crosses his farewell breaks the association.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from suite.dicom.attributes import text, to_uid
from suite.dicom.network import commitment as words
from suite.dicom.network.archive import Archive
from suite.dicom.network.commitment import Commitments, Reference
from suite.dicom.network.nodes import DIMSE, Destination, Nodes
from suite.dicom.network.sending import Sender
from suite.dicom.network.store_user import association_with
from suite.dicom.reading import read_dataset
from suite.errors import SuiteError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom.events import Event

_log = logging.getLogger(__name__)

INVALID_ARGUMENT, NO_SUCH_ACTION, PROCESSING_FAILURE = 0x0115, 0x0123, 0x0110
MOST_OBJECTS = 10_000
"""Objects in one request."""

FAREWELL_SECONDS = 0.5
"""By then an asker who does not wait has ended his association."""


@dataclass(slots=True)
class CommitmentProvider:
    """Answers requests, and takes the answers to one's own.

    Args:
        archive: where objects are kept.
        nodes: systems whose AE titles are known.
        sender: how associations to them are made.
        commitments: takes answers to what this suite asked.
    """

    archive: Archive
    nodes: Nodes
    sender: Sender
    commitments: Commitments
    _threads: list[threading.Thread] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def on_action(self, event: Event) -> tuple[int, None]:
        """Take a request; the answer follows in a thread of its own."""
        if event.action_type != words.REQUEST:
            return NO_SUCH_ACTION, None
        request = event.action_information
        transaction, objects = text(request, "TransactionUID"), words.read_references(request)
        if not transaction or not 1 <= len(objects) <= MOST_OBJECTS:
            return INVALID_ARGUMENT, None
        title = str(event.assoc.requestor.ae_title).strip()
        arguments = (event.assoc, title, transaction, objects)
        thread = threading.Thread(target=self._answer, args=arguments, name="commitment", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()
        return 0x0000, None

    def on_report(self, event: Event) -> tuple[int, None]:
        """Note a node's answer to what this suite asked."""
        try:
            answer = words.read_answer(event.event_information)
            sender = f"{str(event.assoc.requestor.ae_title).strip()}@{event.assoc.requestor.address}"
            if not self.commitments.settle(answer, sender):
                _log.warning("%s committed itself to something nobody asked for", sender)
        except SuiteError as error:
            _log.error("an answer about storage commitment was not noted: %s", error)
            return PROCESSING_FAILURE, None
        return 0x0000, None

    def wait(self, seconds: float) -> None:
        """Give answers that are on their way so much time each, and no further patience."""
        self._ended.set()
        for thread in self._threads:
            thread.join(seconds)

    def _answer(self, association: Any, title: str, transaction: str, objects: list[Reference]) -> None:
        try:
            failed = [(one, reason) for one in objects if (reason := self._fault(one)) is not None]
            missing = {one for one, _ in failed}
            report = words.wording(transaction, [one for one in objects if one not in missing], failed)
            kind = words.SOME_NOT_KEPT if failed else words.ALL_KEPT
            if self._report_anew(title, report, kind):
                return
            self._ended.wait(FAREWELL_SECONDS)
            if _report(association, report, kind):
                return
            _log.warning("%s asked about %d objects and took no answer", title, len(objects))
        except Exception:  # noqa: BLE001 -- whoever asked asks again
            _log.exception("a request for storage commitment was not answered")

    def _fault(self, wanted: Reference) -> int | None:
        """Why an object cannot be vouched for."""
        path = self.archive.instance(wanted.instance_uid)
        if path is None:
            return words.NO_SUCH_OBJECT
        try:
            found = text(read_dataset(path, "instance", pixels=False), "SOPClassUID")
        except SuiteError:
            return words.NO_SUCH_OBJECT
        return None if found == wanted.class_uid else words.CLASS_DIFFERS

    def _report_anew(self, title: str, report: Dataset, kind: int) -> bool:
        """Over an association of one's own, in which this suite is the provider."""
        destination = self._node_of(title)
        if destination is None:
            return False
        contexts = [(words.PUSH_MODEL, syntax) for syntax in words.SYNTAXES]
        try:
            with association_with(self.sender, destination, contexts, provides=words.PUSH_MODEL) as own:
                return _report(own, report, kind)
        except SuiteError as error:
            _log.warning("an answer about storage commitment did not arrive: %s", error)
            return False

    def _node_of(self, title: str) -> Destination | None:
        found = (node.destination for node in self.nodes.all() if node.destination.kind == DIMSE)
        return next((one for one in found if one.ae_title == title), None)


def _report(association: Any, report: Dataset, kind: int) -> bool:
    if not association.is_established:
        return False
    try:
        status, _ = association.send_n_event_report(
            report, kind, to_uid(words.PUSH_MODEL), to_uid(words.PUSH_MODEL_INSTANCE)
        )
    except (RuntimeError, ValueError):  # released meanwhile, or not asked for in this role
        return False
    return "Status" in status and status.Status == 0x0000
