"""Results on their way to a PACS: rules, an outbox that loses nothing, C-STORE and STOW-RS."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner
from pydicom import dcmread
from pynetdicom import AE, AllStoragePresentationContexts, evt

from suite.accounts.audit import AuditTrail
from suite.accounts.principal import LOCAL
from suite.cli import main
from suite.dicom.network.nodes import DIMSE, STOW, Destination, Nodes, parse_destination
from suite.dicom.network.rules import kind_of, parse_rules
from suite.dicom.network.sending import DeliveryError, Sender
from suite.errors import InputError, RecipeError
from suite.jobs.execution import JobRunner
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Instance, Outgoing, Review
from suite.jobs.queue import JobQueue
from suite.jobs.worker import load_study
from suite.records.removal import remove_study
from tests.dicom_network_house import Wires, as_bytes, film, open_wires, serving, without_leftovers
from tests.dicom_zoo import save
from tests.jobs_fakes import FakeAnalyzer
from tests.orthanc_house import open_orthanc
from tests.ports import free_port

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""pynetdicom leaves the socket of a refused connection to the garbage collector."""

SENDER = Sender("RADSUITE", 10.0)


@pytest.fixture(autouse=True)
def nothing_left_to_collect() -> Iterator[None]:
    """Those sockets, while their warning is expected."""
    with without_leftovers():
        yield


@dataclass
class Pacs:
    """A PACS that keeps UIDs, and answers with ``status``."""

    port: int
    status: int = 0x0000
    seen: list[str] = field(default_factory=list)

    @property
    def destination(self) -> Destination:
        return Destination("pacs", DIMSE, "PACS", "127.0.0.1", self.port)


@contextmanager
def open_pacs(port: int | None = None, status: int = 0x0000) -> Iterator[Pacs]:
    pacs = Pacs(port or free_port(), status)

    def on_store(event: Any) -> int:
        if pacs.status == 0x0000:
            pacs.seen.append(str(event.request.AffectedSOPInstanceUID))
        return pacs.status

    entity = AE(ae_title="PACS")
    entity.require_called_aet = True
    entity.supported_contexts = AllStoragePresentationContexts
    entity.add_supported_context("1.2.840.10008.1.1")
    with serving(entity, pacs.port, [(evt.EVT_C_STORE, on_store)]):
        yield pacs


def read_all(wires: Wires) -> list[str]:
    """Read what waits, with the stand-in for the networks; ids of the jobs."""
    exchange = wires.exchange
    runner = JobRunner(
        exchange.database,
        JobQueue(exchange.database, exchange.settings, time.time),
        exchange.objects.store,
        exchange.settings,
        WorkerIdentity.of_this_process(),
        analyzer=FakeAnalyzer,
        load=load_study,
    )
    done = []
    while not wires.sent.empty():
        done.append(wires.sent.get())
        runner.run(done[-1])
    return done


def one_reading(wires: Wires) -> str:
    """A film taken, handed in and read; the job's id."""
    wires.exchange.reception.take(as_bytes(film(StudyDate="20240101")), "MODALITY@127.0.0.1")
    wires.exchange.closer.run_once()
    (job,) = read_all(wires)
    return job


def outgoing(wires: Wires) -> list[Outgoing]:
    found: list[Outgoing] = wires.rows(Outgoing)
    return found


def make_due(wires: Wires) -> None:
    wires.exchange.outbox.hurry()


def test_a_finished_reading_goes_to_the_nodes_whose_rules_match(tmp_path: Path) -> None:
    with open_pacs() as pacs, open_wires(tmp_path) as wires:
        exchange = wires.exchange
        known = Nodes(exchange.database)
        known.add(pacs.destination, {"when": "abnormal", "objects": ["report"]})
        for name, rules in (
            ("fractures", {"when": "suggested", "findings": ["fracture"]}),
            ("by-hand", {"when": "never"}),
        ):
            known.add(replace(pacs.destination, name=name), rules)
        exchange.router.run_once()  # the time of this look is where routing begins
        one_reading(wires)
        assert exchange.router.run_once() == 1
        assert exchange.router.run_once() == 0
        assert exchange.outbox.deliver_due() == 1
        assert exchange.outbox.deliver_due() == 0
        assert len(pacs.seen) == 1
        with exchange.database.read() as session:
            (report,) = session.query(Instance).filter(Instance.sop_instance_uid == pacs.seen[0])
            assert kind_of(report.sop_class_uid) == "report"
        assert "results.sent" in wires.actions()


def test_a_pacs_that_is_down_gets_everything_later_and_nothing_twice(tmp_path: Path) -> None:
    port = free_port()
    with open_wires(tmp_path) as wires:
        Nodes(wires.exchange.database).add(
            Destination("pacs", DIMSE, "PACS", "127.0.0.1", port), {"when": "always"}
        )
        wires.exchange.router.run_once()
        jobs = [one_reading(wires) for _ in range(3)]
        assert wires.exchange.router.run_once() == 3
        assert wires.exchange.outbox.deliver_due() == 0
        attempts = sorted(row.attempts for row in outgoing(wires))
        assert attempts == [0, 0, 1]  # one try tells that nobody is there
        assert all(row.state == "queued" and row.next_attempt_at > time.time() for row in outgoing(wires))
        with open_pacs(port, status=0xA700) as pacs:
            make_due(wires)
            assert wires.exchange.outbox.deliver_due() == 0
            assert "0xA700" in (outgoing(wires)[0].error or "")
    with open_wires(tmp_path) as wires, open_pacs(port) as pacs:  # another process, and a PACS that came back
        make_due(wires)
        assert wires.exchange.outbox.deliver_due() == 3
        assert {row.state for row in outgoing(wires)} == {"sent"}
        assert {row.job_id for row in outgoing(wires)} == set(jobs)
        assert len(pacs.seen) == len(set(pacs.seen)) > 3
        wires.exchange.router.run_once()
        assert wires.exchange.outbox.deliver_due() == 0


def test_an_entry_that_was_given_up_waits_for_a_person(tmp_path: Path) -> None:
    with open_wires(tmp_path, send_attempts=2) as wires:
        node = Destination("pacs", DIMSE, "PACS", "127.0.0.1", free_port())
        Nodes(wires.exchange.database).add(node, {"when": "always"})
        wires.exchange.router.run_once()
        one_reading(wires)
        wires.exchange.router.run_once()
        for _ in range(2):
            make_due(wires)
            wires.exchange.outbox.deliver_due()
        (row,) = outgoing(wires)
        assert (row.state, row.attempts) == ("failed", 2)
        assert "does not answer" in (row.error or "")
        with open_pacs(node.port) as pacs:
            assert wires.exchange.outbox.retry_failed() == 1
            assert wires.exchange.outbox.deliver_due() == 1
            assert pacs.seen


def test_what_a_killed_process_was_sending_is_taken_over(tmp_path: Path) -> None:
    with open_pacs() as pacs, open_wires(tmp_path) as wires:
        Nodes(wires.exchange.database).add(pacs.destination, {"when": "always"})
        wires.exchange.router.run_once()
        one_reading(wires)
        wires.exchange.router.run_once()
        with wires.exchange.database.write() as session:
            session.query(Outgoing).update({"state": "sending", "next_attempt_at": time.time() + 60})
        assert wires.exchange.outbox.deliver_due() == 0
        with wires.exchange.database.write() as session:
            session.query(Outgoing).update({"next_attempt_at": time.time() - 1})
        assert wires.exchange.outbox.deliver_due() == 1


def test_many_processes_send_an_entry_once(tmp_path: Path) -> None:
    with open_pacs() as pacs, open_wires(tmp_path) as wires:
        Nodes(wires.exchange.database).add(pacs.destination, {"when": "always", "objects": ["report"]})
        wires.exchange.router.run_once()
        one_reading(wires)
        wires.exchange.router.run_once()
        threads = [threading.Thread(target=wires.exchange.outbox.deliver_due) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(pacs.seen) == 1


def test_a_computed_picture_that_a_pacs_sends_back_is_not_read_again(tmp_path: Path) -> None:
    with open_wires(tmp_path) as wires:
        job = one_reading(wires)
        objects = wires.exchange.objects.of_job(job)
        pictures = [path for path in objects if dcmread(path).SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"]
        assert pictures
        for path in pictures:
            assert str(wires.exchange.reception.take(path.read_bytes(), "PACS@x").fate) == "known"
        assert wires.exchange.archive.waiting() == {}


def test_a_verdict_that_came_later_leads_to_a_new_report_that_names_the_reader(tmp_path: Path) -> None:
    with open_wires(tmp_path) as wires:
        job, (study,) = one_reading(wires), wires.studies()
        before = wires.exchange.objects.of_job(job)
        said = {"study_id": study.id, "job_id": job, "finding": "edema", "user": "Reader^One"}
        with wires.exchange.database.write() as session:
            session.add(Review(**said, verdict="accepted", created_at=1_700_000_000.0))
            session.add(
                Review(**said, verdict="rejected", created_at=1_700_000_001.0, undone_at=1_700_000_002.0)
            )
            session.add(Review(**{**said, "finding": None}, verdict="comment", text="so", created_at=1.0))
        after = wires.exchange.objects.of_job(job)
        new = [dcmread(path) for path in after if path not in before]
        assert [str(item.Modality) for item in new] == ["SR"]
        assert "Reader^One" in new[0].to_json()
        assert wires.exchange.objects.of_job(job) == after


def test_a_study_that_is_removed_leaves_no_film_and_no_result(tmp_path: Path) -> None:
    with open_wires(tmp_path) as wires:
        exchange = wires.exchange
        assert exchange.objects.of_job(one_reading(wires))
        assert len(wires.stored_files()) > 2
        (study,) = wires.studies()
        trail = AuditTrail(exchange.database, time.time)
        remove_study(exchange.database, exchange.objects.store, tmp_path, trail, study.id, LOCAL, None)
        assert wires.stored_files() == []
        assert wires.instances() == []
        exchange.closer.run_once()
        assert wires.studies() == []


def test_a_removed_study_that_is_sent_again_is_read_again(tmp_path: Path) -> None:
    sent = as_bytes(film(StudyDate="20240101"))
    with open_wires(tmp_path) as wires:
        exchange = wires.exchange
        for _ in range(2):
            exchange.reception.take(sent, "MODALITY@127.0.0.1")
            exchange.closer.run_once()
            read_all(wires)
            (study,) = wires.studies()
            trail = AuditTrail(exchange.database, time.time)
            remove_study(exchange.database, exchange.objects.store, tmp_path, trail, study.id, LOCAL, None)
        assert wires.actions().count("study.completed") == 2


REPORT = {
    "gate": {"accepted": True, "overridden": False},
    "triage": {"state": "normal"},
    "findings": [{"code": "pneumothorax", "state": "suggested"}, {"code": "edema", "state": "uncertain"}],
}


@pytest.mark.parametrize(
    ("rules", "report", "matches"),
    [
        ({}, REPORT, True),
        ({}, {"gate": {"accepted": False, "overridden": False}}, False),
        ({"when": "always"}, {"gate": {"accepted": False, "overridden": False}}, True),
        ({"when": "never"}, REPORT, False),
        ({"when": "abnormal"}, REPORT, False),
        ({"when": "abnormal"}, {**REPORT, "triage": {"state": "abnormal"}}, True),
        ({"when": "suggested"}, REPORT, True),
        ({"when": "suggested", "findings": ["edema"]}, REPORT, False),
        ({"when": "suggested", "findings": ["edema", "pneumothorax"]}, REPORT, True),
        ({"when": "suggested"}, {**REPORT, "findings": None}, False),
    ],
)
def test_rules_decide_by_the_report(rules: dict[str, Any], report: dict[str, Any], matches: bool) -> None:
    assert parse_rules(rules).match(report) is matches


@pytest.mark.parametrize(
    "rules", [{"when": "sometimes"}, {"findings": ["flu"]}, {"objects": ["all"]}, {"x": 1}]
)
def test_wrong_rules_are_named(rules: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="Rules of a node"):
        parse_rules(rules)


def test_a_compressed_film_is_decompressed_for_a_pacs_that_takes_no_compression(tmp_path: Path) -> None:
    sent = film()
    plain = sent.PixelData
    sent.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    path = save(sent, tmp_path / "film.dcm")
    got = []

    def on_store(event: Any) -> int:
        got.append(event.dataset)
        got[-1].file_meta = event.file_meta
        return 0x0000

    entity = AE(ae_title="PACS")
    entity.add_supported_context(sent.SOPClassUID, "1.2.840.10008.1.2")
    port = free_port()
    with serving(entity, port, [(evt.EVT_C_STORE, on_store)]):
        SENDER.send(Destination("old", DIMSE, "PACS", "127.0.0.1", port), [path])
    assert got[0].file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    assert got[0].PixelData == plain


def test_a_pacs_that_takes_no_such_class_is_named(tmp_path: Path) -> None:
    path = save(film(), tmp_path / "film.dcm")
    entity = AE(ae_title="PACS")
    entity.add_supported_context("1.2.840.10008.1.1")
    port = free_port()
    with serving(entity, port), pytest.raises(DeliveryError, match="old: "):
        SENDER.send(Destination("old", DIMSE, "PACS", "127.0.0.1", port), [path])


def test_an_address_where_nobody_answers_is_named() -> None:
    for destination in (
        Destination("pacs", DIMSE, "PACS", "127.0.0.1", free_port()),
        Destination("web", STOW, url=f"http://user:secret@127.0.0.1:{free_port()}/dicom-web"),
    ):
        with pytest.raises(DeliveryError, match="does not answer") as failure:
            SENDER.check(destination)
        assert "secret" not in str(failure.value)


def test_a_pacs_that_says_nothing_does_not_hold_the_sender_for_ever(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        destination = Destination("silent", DIMSE, "PACS", "127.0.0.1", silent.getsockname()[1])
        with pytest.raises(DeliveryError):
            replace(SENDER, timeout_seconds=1.0).check(destination)


def test_a_destination_must_be_complete() -> None:
    for arguments in (
        ("x", None, None, None, None),
        ("x", "PACS", None, 104, None),
        ("x", "PACS", "host", None, None),
        ("x", "PACS", "host", 104, "http://both"),
        ("x", None, None, None, "ftp://wrong"),
        ("x", "SEVENTEEN_LETTERS", "host", 104, None),
    ):
        with pytest.raises(InputError, match="x: "):
            parse_destination(*arguments)


def test_studies_travel_to_and_from_orthanc(tmp_path: Path) -> None:
    films = [film(StudyDate="20240101") for _ in range(2)]
    with open_wires(tmp_path / "data", listen_allow=("ORTHANC@127.0.0.1",)) as wires:
        modality = {"AET": "RADSUITE", "Host": "127.0.0.1", "Port": wires.port, "Manufacturer": "Generic"}
        with open_orthanc(tmp_path / "orthanc", {"radsuite": modality}) as orthanc:
            for dataset in films:
                orthanc.post("/instances", as_bytes(dataset))
            orthanc.post("/modalities/radsuite/echo", {})
            orthanc.post("/modalities/radsuite/store", {"Resources": orthanc.get("/studies")})
            wires.exchange.closer.run_once()
            assert {study.frontal_name for study in wires.studies()} == {
                item.SOPInstanceUID for item in films
            }
            jobs = read_all(wires)
            pacs = Destination("orthanc", DIMSE, "ORTHANC", "127.0.0.1", orthanc.dicom_port)
            web = Destination("web", STOW, url=orthanc.dicomweb)
            SENDER.check(pacs)
            SENDER.check(web)
            by_association, by_stow = (wires.exchange.objects.of_job(job) for job in jobs)
            confirmed: list[str] = []
            SENDER.send(pacs, by_association, confirmed.append)
            SENDER.send(web, by_stow, confirmed.append)
            SENDER.send(web, by_stow)  # a second time adds nothing
            results = {path.stem for path in [*by_association, *by_stow]}
            assert set(confirmed) == results
            assert orthanc.instances() == results | {dataset.SOPInstanceUID for dataset in films}


def test_a_listener_of_this_suite_takes_what_this_suite_sends_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf, own = authority.issue_cert("localhost"), authority.issue_cert("radsuite")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, cert in (("server", leaf), ("client", own)):
        cert.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        cert.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    path = save(film(), tmp_path / "film.dcm")
    tls = {
        "listen_certificate": tmp_path / "server.pem",
        "listen_key": tmp_path / "server.key",
        "listen_client_ca": tmp_path / "ca.pem",
    }
    with open_wires(tmp_path / "data", **tls) as wires:
        node = Destination("peer", DIMSE, "RADSUITE", "localhost", wires.port, tls=True)
        sender = replace(
            SENDER, ca=tmp_path / "ca.pem", certificate=tmp_path / "client.pem", key=tmp_path / "client.key"
        )
        sender.send(node, [path])
        assert len(wires.instances()) == 1


def test_send_and_nodes_on_the_command_line(tmp_path: Path) -> None:
    run = CliRunner()
    path = save(film(), tmp_path / "film.dcm")
    data = ["--data", str(tmp_path / "data")]
    assert "no nodes yet" in run.invoke(main, ["nodes", "list", *data]).output
    with open_pacs() as pacs:
        place = ["--aet", "PACS", "--host", "127.0.0.1", "--port", str(pacs.port)]
        assert run.invoke(main, ["nodes", "add", "pacs", *place, "--when", "always", *data]).exit_code == 0
        assert run.invoke(main, ["nodes", "check", "pacs", *data]).exit_code == 0
        assert "always" in run.invoke(main, ["nodes", "list", *data]).output
        assert run.invoke(main, ["nodes", "add", "pacs", *place, *data]).exit_code == 2
        assert run.invoke(main, ["send", str(path), *place, *data]).exit_code == 0
        assert run.invoke(main, ["send", str(path), "--to", "pacs", *data]).exit_code == 0
        assert len(pacs.seen) == 2
        with open_wires(tmp_path / "data") as wires:
            one_reading(wires)
            study = wires.studies()[0].id
        assert run.invoke(main, ["send", study, "--to", "pacs", *data]).exit_code == 0
        assert len(pacs.seen) > 2
        assert run.invoke(main, ["send", "--pending", *data]).exit_code == 0
        assert run.invoke(main, ["send", "nowhere", "--to", "pacs", *data]).exit_code == 2
    answer = run.invoke(main, ["send", str(path), *place, "--attempts", "1", *data])
    assert (answer.exit_code, "does not answer" in answer.output) == (1, True)
    assert run.invoke(main, ["nodes", "change", "pacs", "remove", *data]).exit_code == 0
    assert run.invoke(main, ["send", str(path), *data]).exit_code == 2
