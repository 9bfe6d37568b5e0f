"""Storage commitment both ways: against a peer made of pynetdicom, and against Orthanc."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_primitives import N_EVENT_REPORT

from suite.dicom.network.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, Reference, wording
from suite.dicom.network.nodes import DIMSE, Destination, Nodes
from suite.dicom.network.outbox import Outbox
from suite.dicom.network.routing import enqueue
from suite.jobs.models import Outgoing
from tests.dicom_network_house import (
    Wires,
    as_bytes,
    film,
    open_wires,
    serving,
    wait_until,
    without_leftovers,
)
from tests.orthanc_house import open_orthanc
from tests.ports import free_port
from tests.test_dicom_network_sending import one_reading

pytestmark = [
    # pynetdicom leaves the socket of an association that the peer ended to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    # and may count what it sends twice while something comes in: its thread then ends a released association
    # with InvalidEventError; what was sent and answered is what these tests look at
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

CR = "1.2.840.10008.5.1.4.1.1.1"


@pytest.fixture(autouse=True)
def nothing_left_to_collect() -> Iterator[None]:
    with without_leftovers():
        yield


@dataclass
class Peer:
    """A system that stores everything, and answers requests as ``how`` says.

    ``how``: ``at once`` on the same association, ``later`` on one of its own to ``port``, ``never``,
    ``refuses``.
    """

    own_port: int
    how: str
    port: int
    loses: bool = False
    stored: list[str] = field(default_factory=list)
    reports: list[tuple[int, Dataset]] = field(default_factory=list)
    receipts: list[int | None] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def destination(self) -> Destination:
        return Destination("pacs", DIMSE, "PACS", "127.0.0.1", self.own_port)

    def on_store(self, event: Any) -> int:
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def on_action(self, event: Any) -> tuple[int, None]:
        if self.how == "refuses":
            return 0x0110, None
        if self.how != "never":
            thread = threading.Thread(target=self.answer, args=(event.assoc, event.action_information))
            self.threads.append(thread)
            thread.start()
        return 0x0000, None

    def on_report(self, event: Any) -> tuple[int, None]:
        self.reports.append((event.event_type, event.event_information))
        return 0x0000, None

    def answer(self, association: Any, request: Dataset) -> None:
        named = [
            Reference(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
            for item in request.ReferencedSOPSequence
        ]
        lost = named[:1] if self.loses else []
        report = wording(request.TransactionUID, named[len(lost) :], [(item, 0x0112) for item in lost])
        if self.how == "at once":
            kind = 2 if lost else 1
            receipt, _ = association.send_n_event_report(report, kind, PUSH_MODEL, PUSH_MODEL_INSTANCE)
            self.receipts.append(receipt.get("Status"))
            return
        entity = AE(ae_title="PACS")
        entity.add_requested_context(PUSH_MODEL)
        own = entity.associate(
            "127.0.0.1", self.port, ae_title="RADSUITE", ext_neg=[build_role(PUSH_MODEL, scp_role=True)]
        )
        own.send_n_event_report(report, 2 if lost else 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        own.release()


@contextmanager
def open_peer(
    how: str = "at once", port: int = 0, *, commits: bool = True, loses: bool = False
) -> Iterator[Peer]:
    peer = Peer(free_port(), how, port, loses)
    entity = AE(ae_title="PACS")
    entity.supported_contexts = AllStoragePresentationContexts
    if commits:
        entity.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
    handlers = [
        (evt.EVT_C_STORE, peer.on_store),
        (evt.EVT_N_ACTION, peer.on_action),
        (evt.EVT_N_EVENT_REPORT, peer.on_report),
    ]
    with serving(entity, peer.own_port, handlers):
        try:
            yield peer
        finally:
            for thread in peer.threads:
                thread.join(5)


@pytest.fixture
def wires(tmp_path: Path) -> Iterator[Wires]:
    """For nodes that do not answer on the same association: half a second is waited for them in vain."""
    with open_wires(tmp_path, commit_wait_seconds=0.5, send_pause_seconds=3.0) as opened:
        yield opened


@pytest.fixture
def patient_wires(tmp_path: Path) -> Iterator[Wires]:
    """For nodes that do: however busy this computer is, their answer is waited for."""
    with open_wires(tmp_path, commit_wait_seconds=30.0, send_pause_seconds=3.0) as opened:
        yield opened


def entry(wires: Wires) -> Outgoing:
    (row,) = wires.rows(Outgoing)
    assert isinstance(row, Outgoing)
    return row


def an_hour_later(wires: Wires) -> Outbox:
    """The outbox as somebody sees it whose clock is past the patience with a node."""
    parts = wires.exchange
    return Outbox(parts.database, parts.objects, parts.settings, clock=lambda: time.time() + 3601)


def send_to(wires: Wires, peer: Peer) -> int:
    """One reading to a node that is to commit itself; how many entries were sent."""
    number = Nodes(wires.exchange.database).add(peer.destination, {"commitment": True})
    enqueue(wires.exchange.database, one_reading(wires), number, time.time())
    return wires.exchange.outbox.deliver_due()


def test_a_node_gets_its_receipt_before_the_association_ends(
    patient_wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late it goes out; the association used to be released meanwhile."""
    original = DIMSEServiceProvider.send_msg

    def late(self: DIMSEServiceProvider, primitive: Any, context: int) -> None:
        if isinstance(primitive, N_EVENT_REPORT) and primitive.MessageIDBeingRespondedTo is not None:
            time.sleep(0.5)
        original(self, primitive, context)

    monkeypatch.setattr(DIMSEServiceProvider, "send_msg", late)
    with open_peer() as peer:
        assert send_to(patient_wires, peer) == 1
        wait_until(lambda: peer.receipts)
    assert peer.receipts == [0x0000]


def test_a_node_that_answers_at_once_has_committed_itself(patient_wires: Wires) -> None:
    wires = patient_wires
    with open_peer() as peer:
        assert send_to(wires, peer) == 1
    assert (entry(wires).state, entry(wires).error) == ("sent", None)
    assert entry(wires).committed_at is not None
    assert "results.committed" in wires.actions()


def test_an_answer_that_comes_later_reaches_the_listener(wires: Wires) -> None:
    with open_peer("later", wires.port) as peer:
        assert send_to(wires, peer) == 1
        wait_until(lambda: entry(wires).committed_at)
    assert entry(wires).state == "sent"


def test_what_a_node_does_not_keep_is_sent_again(patient_wires: Wires) -> None:
    wires = patient_wires
    with open_peer(loses=True) as peer:
        send_to(wires, peer)
        assert (entry(wires).state, entry(wires).committed_at) == ("queued", None)
        assert "does not keep 1 of the objects" in str(entry(wires).error)
        assert "0x0112" in str(entry(wires).error)
        first = len(peer.stored)
        peer.loses = False
        wires.exchange.outbox.hurry()
        assert wires.exchange.outbox.deliver_due() == 1
        assert len(peer.stored) == 2 * first
    assert entry(wires).committed_at is not None


def test_a_node_that_never_answers_is_sent_everything_again(wires: Wires) -> None:
    exchange = wires.exchange
    with open_peer("never") as peer:
        assert send_to(wires, peer) == 1
        assert (entry(wires).state, entry(wires).committed_at) == ("sent", None)
        assert exchange.outbox.deliver_due() == 0
        first = len(peer.stored)
        later = an_hour_later(wires)
        assert later.deliver_due() == 1
        assert len(peer.stored) == 2 * first


def test_a_node_that_never_answers_is_given_up_at_last(tmp_path: Path) -> None:
    with open_wires(tmp_path, commit_wait_seconds=0.1, send_attempts=1) as wires, open_peer("never") as peer:
        send_to(wires, peer)
        assert an_hour_later(wires).deliver_due() == 0
        assert entry(wires).state == "failed"
        assert "did not answer for them" in str(entry(wires).error)


@pytest.mark.parametrize(
    ("how", "commits", "sentence"),
    [
        ("at once", False, "(Storage Commitment Push Model SOP Class)"),
        ("refuses", True, "refused to commit"),
    ],
)
def test_a_node_that_cannot_commit_itself_is_said(
    wires: Wires, how: str, commits: bool, sentence: str
) -> None:
    with open_peer(how, commits=commits) as peer:
        assert send_to(wires, peer) == 0
    assert entry(wires).state == "queued"
    assert sentence in str(entry(wires).error)


def ask_listener(wires: Wires, objects: list[Reference], *, stay: bool = True) -> tuple[int, list[Any]]:
    """A request as a modality makes it; its status, and what was reported on the same association."""
    reports: list[Any] = []
    heard = threading.Event()

    def on_report(event: Any) -> tuple[int, None]:
        reports.append((event.event_type, event.event_information))
        heard.set()
        return 0x0000, None

    entity = AE(ae_title="PACS")
    entity.add_requested_context(PUSH_MODEL)
    association = entity.associate(
        "127.0.0.1", wires.port, ae_title="RADSUITE", evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)]
    )
    assert association.is_established
    status, _ = association.send_n_action(wording("1.2.3.4", objects), 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    if stay and status.Status == 0x0000:
        assert heard.wait(10)
    association.release()
    return int(status.Status), reports


def test_the_listener_answers_for_what_it_keeps_and_only_for_that(wires: Wires) -> None:
    kept, other = film(), film()
    for dataset in (kept, other):
        wires.exchange.reception.take(as_bytes(dataset), "MODALITY@127.0.0.1")
    unknown = generate_uid()
    status, reports = ask_listener(
        wires,
        [
            Reference(CR, kept.SOPInstanceUID),
            Reference(CR, unknown),
            Reference("1.2.840.10008.5.1.4.1.1.1.1", other.SOPInstanceUID),
        ],
    )
    assert status == 0x0000
    ((kind, report),) = reports
    assert (kind, report.TransactionUID) == (2, "1.2.3.4")
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [kept.SOPInstanceUID]
    assert {item.ReferencedSOPInstanceUID: item.FailureReason for item in report.FailedSOPSequence} == {
        unknown: 0x0112,  # PS3.3 C.14.1.1: no such object instance
        other.SOPInstanceUID: 0x0119,  # class / instance conflict
    }


def test_whoever_has_left_is_told_on_an_association_to_its_node(wires: Wires) -> None:
    kept = film()
    wires.exchange.reception.take(as_bytes(kept), "MODALITY@127.0.0.1")
    with open_peer() as peer:
        Nodes(wires.exchange.database).add(peer.destination, {"when": "never"})
        ask_listener(wires, [Reference(CR, kept.SOPInstanceUID)] * 50, stay=False)
        wait_until(lambda: peer.reports)
    ((kind, report),) = peer.reports
    assert kind == 1
    assert report.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == kept.SOPInstanceUID


def test_a_request_about_nothing_is_refused(wires: Wires) -> None:
    assert ask_listener(wires, [], stay=False)[0] == 0x0115  # PS3.7 C.5.x: invalid argument value


def test_orthanc_commits_itself_and_is_answered(tmp_path: Path) -> None:
    mine = film(StudyDate="20240101")
    with open_wires(tmp_path / "data", listen_allow=("ORTHANC@127.0.0.1",)) as wires:
        modality = {
            "AET": "RADSUITE",
            "Host": "127.0.0.1",
            "Port": wires.port,
            "AllowStorageCommitment": True,
        }
        with open_orthanc(tmp_path / "orthanc", {"radsuite": modality}) as orthanc:
            pacs = Destination("orthanc", DIMSE, "ORTHANC", "127.0.0.1", orthanc.dicom_port)
            number = Nodes(wires.exchange.database).add(pacs, {"commitment": True})
            enqueue(wires.exchange.database, one_reading(wires), number, time.time())
            assert wires.exchange.outbox.deliver_due() == 1
            wait_until(lambda: entry(wires).committed_at)
            wires.exchange.reception.take(as_bytes(mine), "MODALITY@127.0.0.1")
            asked = orthanc.post(
                "/modalities/radsuite/storage-commitment",
                {"DicomInstances": [[CR, mine.SOPInstanceUID], [CR, generate_uid()]]},
            )
            answer = wait_until(lambda: _answered(orthanc.get(asked["Path"])))
    assert [item["SOPInstanceUID"] for item in answer["Success"]] == [mine.SOPInstanceUID]
    assert [item["FailureReason"] for item in answer["Failures"]] == [0x0112]


def _answered(report: dict[str, Any]) -> dict[str, Any] | None:
    return None if report["Status"] == "Pending" else report
