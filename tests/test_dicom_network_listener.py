"""The listener: who may send, what is taken, what each sender is told, and what is never stored."""

from __future__ import annotations

import errno
import gc
import logging
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, RLELossless, generate_uid
from pynetdicom import AE

from suite.dicom.network import archive as archive_module
from suite.dicom.network.acceptance import content_sha256
from suite.dicom.network.allow_list import parse
from suite.dicom.network.classes import ACCEPTED_CLASSES, accepted_syntaxes
from suite.errors import InputError, RecipeError
from tests.dicom_network_house import Wires, as_bytes, dcmtk, film, film_pair, open_wires, without_leftovers
from tests.dicom_zoo import CR, DX, SECONDARY_CAPTURE, save

CT = "1.2.840.10008.5.1.4.1.1.2"
SUCCESS, OUT_OF_RESOURCES, WRONG_CLASS, UNREADABLE = 0x0000, 0xA700, 0xA900, 0xC000


pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""pynetdicom leaves the socket of an association that the peer ended to the garbage collector."""


@pytest.fixture(autouse=True)
def nothing_left_to_collect() -> Iterator[None]:
    """Those sockets, while their warning is expected."""
    with without_leftovers():
        yield


def store(wires: Wires, *datasets: Dataset, title: str = "MODALITY", **options: Any) -> list[Dataset]:
    """C-STORE over one association; the answers."""
    entity = AE(ae_title=title)
    for dataset in datasets:
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE", **options)
    assert association.is_established
    answers = [association.send_c_store(dataset) for dataset in datasets]
    association.release()
    return answers


def statuses(answers: list[Dataset]) -> list[int]:
    return [answer.Status for answer in answers]


def test_a_film_is_answered_with_success_and_lies_on_the_disk_byte_by_byte(tmp_path: Path) -> None:
    sent = film()
    with open_wires(tmp_path) as wires:
        assert statuses(store(wires, sent)) == [SUCCESS]
        assert wires.stored_files() == [f"{sent.SOPInstanceUID}.dcm"]
        kept = wires.exchange.archive.find(sent.StudyInstanceUID, sent.SOPInstanceUID)
        assert kept is not None
        reference = save(sent, tmp_path / "sent")
        syntax = sent.file_meta.TransferSyntaxUID
        assert content_sha256(kept, syntax) == content_sha256(reference, syntax)
        row = wires.instances()[0]
        assert (row.sop_instance_uid, row.received_from) == (sent.SOPInstanceUID, "MODALITY@127.0.0.1")
        assert row.attributes["00100020"] == {"vr": "LO", "Value": ["secret-7"]}
        assert "instance.received" in wires.actions()


def test_the_films_of_a_study_become_one_study_with_one_job(tmp_path: Path) -> None:
    frontal, lateral = film_pair()
    with open_wires(tmp_path) as wires:
        store(wires, lateral, frontal)
        wires.exchange.closer.run_once()
        (study,) = wires.studies()
        assert study.frontal_name == frontal.SOPInstanceUID
        assert study.lateral_name == lateral.SOPInstanceUID
        assert wires.sent.qsize() == 1
        assert {row.study_id for row in wires.instances()} == {study.id}
        assert wires.exchange.closer.run_once() == []


def test_a_study_is_not_complete_before_it_was_quiet_for_as_long_as_is_set(tmp_path: Path) -> None:
    with open_wires(tmp_path, quiet_seconds=60.0) as wires:
        sent = film()
        store(wires, sent)
        assert wires.exchange.closer.run_once() == []
        marker = tmp_path / "instances" / "arrivals" / sent.StudyInstanceUID
        os.utime(marker, (time.time() - 61, time.time() - 61))
        assert wires.exchange.closer.run_once() == [sent.StudyInstanceUID]


def test_a_study_that_cannot_be_handed_in_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = film(), film()
    with open_wires(tmp_path) as wires:
        store(wires, bad, good)
        ensure = wires.exchange.index.ensure

        def fail(study_uid: str) -> None:
            if study_uid == bad.StudyInstanceUID:
                raise RuntimeError("unforeseen")
            ensure(study_uid)

        monkeypatch.setattr(wires.exchange.index, "ensure", fail)
        assert wires.exchange.closer.run_once() == [good.StudyInstanceUID]
        assert set(wires.exchange.archive.waiting()) == {bad.StudyInstanceUID}
        monkeypatch.undo()
        assert wires.exchange.closer.run_once() == [bad.StudyInstanceUID]


def test_a_lateral_that_comes_too_late_is_read_with_its_frontal(tmp_path: Path) -> None:
    frontal, lateral = film_pair()
    with open_wires(tmp_path) as wires:
        store(wires, frontal)
        wires.exchange.closer.run_once()
        store(wires, lateral)
        wires.exchange.closer.run_once()
        pairs = [(study.frontal_name, study.lateral_name) for study in wires.studies()]
        assert (frontal.SOPInstanceUID, lateral.SOPInstanceUID) in pairs
        assert len(pairs) == 2


def test_the_same_film_again_is_a_success_without_a_second_analysis(tmp_path: Path) -> None:
    sent = film()
    with open_wires(tmp_path) as wires:
        for _ in range(3):
            assert statuses(store(wires, sent, sent)) == [SUCCESS, SUCCESS]
            wires.exchange.closer.run_once()
        assert wires.sent.qsize() == 1
        assert len(wires.studies()) == len(wires.instances()) == 1


def test_the_same_film_under_another_transfer_syntax_is_the_same_film(tmp_path: Path) -> None:
    explicit = film()
    implicit = film(
        **{element.keyword: element.value for element in explicit if element.keyword != "PixelData"}
    )
    implicit.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    with open_wires(tmp_path) as wires:
        assert statuses(store(wires, explicit)) == [SUCCESS]
        assert statuses(store(wires, implicit)) == [SUCCESS]
        assert len(wires.instances()) == 1


def test_another_film_with_a_known_uid_is_refused_and_the_first_is_kept(tmp_path: Path) -> None:
    first = film()
    second = film(
        SOPInstanceUID=first.SOPInstanceUID, StudyInstanceUID=first.StudyInstanceUID, PatientAge="007Y"
    )
    with open_wires(tmp_path) as wires:
        store(wires, first)
        (answer,) = store(wires, second)
        assert answer.Status == 0xC003
        assert answer.ErrorComment
        kept = wires.exchange.archive.instance(first.SOPInstanceUID)
        assert kept is not None
        assert b"062Y" in kept.read_bytes()
        assert len(wires.stored_files()) == 1


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_films_are_taken_as_they_are(tmp_path: Path, syntax: str) -> None:
    sent = film()
    sent.compress(syntax, generate_instance_uid=False)
    with open_wires(tmp_path) as wires:
        assert statuses(store(wires, sent)) == [SUCCESS]
        assert wires.instances()[0].transfer_syntax_uid == syntax
        wires.exchange.closer.run_once()
        assert len(wires.studies()) == 1


def _without_uid(keyword: str) -> Dataset:
    dataset = film()
    delattr(dataset, keyword)
    return dataset


def _with_half_its_pixels() -> Dataset:
    dataset = film()
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 4 * 2]
    return dataset


def _without_pixels() -> Dataset:
    dataset = film()
    del dataset.PixelData
    return dataset


@pytest.mark.parametrize(
    ("dataset", "status"),
    [
        (film(SOPClassUID=SECONDARY_CAPTURE, Modality="US"), WRONG_CLASS),
        (film(Modality="CT"), WRONG_CLASS),
        (_without_uid("StudyInstanceUID"), 0xC002),
        (_with_half_its_pixels(), UNREADABLE),
        (_without_pixels(), UNREADABLE),
        (film(Rows=None), UNREADABLE),
        (film(NumberOfFrames=7), 0xC001),
        (film(BitsAllocated=64), 0xC001),
        (
            film(
                SOPClassUID=SECONDARY_CAPTURE,
                Modality="DX",
                ImageType=["DERIVED", "SECONDARY"],
                DerivationDescription="Bone suppressed, computed by radsuite 0.1.0",
            ),
            WRONG_CLASS,
        ),
    ],
    ids=["ultrasound", "ct", "no-study", "half", "no-pixels", "no-rows", "frames", "64-bits", "own-result"],
)
def test_what_is_no_readable_film_is_refused_with_its_status_and_leaves_nothing(
    tmp_path: Path, dataset: Dataset, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with open_wires(tmp_path) as wires:
        (answer,) = store(wires, dataset)
        assert answer.Status == status
        assert 0 < len(answer.ErrorComment) <= 64
        assert wires.stored_files() == []
        assert wires.exchange.archive.waiting() == {}
        assert wires.instances() == []
        assert "instance.refused" in wires.actions()
    assert "Nobody" not in caplog.text
    assert "secret-7" not in caplog.text


def test_a_malformed_value_does_not_reach_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "suite")
    sent = film()
    sent.add_new("PatientBirthDate", "LO", "Nobody Known 1950")
    content = as_bytes(sent).replace(b"\x10\x00\x30\x00LO", b"\x10\x00\x30\x00DA")
    with open_wires(tmp_path) as wires:
        wires.exchange.reception.take(content, "MODALITY@127.0.0.1")
        wires.exchange.closer.run_once()
        assert len(wires.studies()) == 1
    assert sent.SOPInstanceUID in caplog.text
    assert "Known" not in caplog.text


def test_an_instance_that_is_not_the_one_announced_is_refused(tmp_path: Path) -> None:
    sent = film()
    with open_wires(tmp_path) as wires:
        entity = AE(ae_title="MODALITY")
        entity.add_requested_context(CR, sent.file_meta.TransferSyntaxUID)
        association = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE")
        other = film()
        original = association.dimse.send_msg

        def swap(message: Any, context: int) -> None:
            message.AffectedSOPInstanceUID = other.SOPInstanceUID
            original(message, context)

        association.dimse.send_msg = swap
        assert association.send_c_store(sent).Status == WRONG_CLASS
        association.dimse.send_msg = original
        association.release()
        assert wires.stored_files() == []


def test_classes_without_projection_radiographs_are_not_negotiated(tmp_path: Path) -> None:
    entity = AE()
    for class_uid in (CR, CT, "1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.88.33"):
        entity.add_requested_context(class_uid)
    with open_wires(tmp_path) as wires:
        association = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE")
        assert [context.abstract_syntax for context in association.accepted_contexts] == [CR]
        association.release()


def test_every_class_takes_every_syntax_that_is_decoded(tmp_path: Path) -> None:
    with open_wires(tmp_path) as wires:
        for class_uid in ACCEPTED_CLASSES:
            entity = AE()
            for syntax in accepted_syntaxes():
                entity.add_requested_context(class_uid, syntax)
            association = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE")
            taken = {str(context.transfer_syntax[0]) for context in association.accepted_contexts}
            association.release()
            assert taken == set(accepted_syntaxes())
    assert {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90"} < set(
        accepted_syntaxes()
    )


def test_a_full_disk_is_out_of_resources_and_the_film_comes_in_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = film()

    def full(*_arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with open_wires(tmp_path) as wires:
        monkeypatch.setattr(archive_module.os, "link", full)
        (answer,) = store(wires, sent)
        assert answer.Status == OUT_OF_RESOURCES
        assert wires.stored_files() == []
        monkeypatch.undo()
        assert statuses(store(wires, sent)) == [SUCCESS]


def test_a_film_is_taken_while_the_database_is_down_and_noted_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from suite.errors import StorageError

    sent = film()

    def refuse(*_arguments: Any) -> None:
        raise StorageError("The database refused.")

    with open_wires(tmp_path) as wires:
        monkeypatch.setattr(wires.exchange.index, "add", refuse)
        assert statuses(store(wires, sent)) == [SUCCESS]
        assert wires.instances() == []
        monkeypatch.undo()
        wires.exchange.closer.run_once()
        assert [row.sop_instance_uid for row in wires.instances()] == [sent.SOPInstanceUID]
        assert len(wires.studies()) == 1


def test_a_study_left_waiting_by_a_killed_process_is_handed_in_by_the_next(tmp_path: Path) -> None:
    with open_wires(tmp_path) as wires:
        store(wires, film())
    with open_wires(tmp_path) as wires:
        assert len(wires.exchange.closer.run_once()) == 1
        assert wires.sent.qsize() == 1


def test_an_instance_above_the_limit_ends_the_association_before_it_fills_the_memory(tmp_path: Path) -> None:
    sent = film()
    sent.PixelData = bytes(4_000_000)
    with open_wires(tmp_path, listen_max_instance_mb=1) as wires:
        (answer,) = store(wires, sent)
        assert "Status" not in answer
        assert wires.stored_files() == []
        assert statuses(store(wires, film())) == [SUCCESS]
        assert "association.aborted" in wires.actions()


def test_an_instance_a_little_above_the_limit_is_answered(tmp_path: Path) -> None:
    sent = film()
    sent.PixelData = bytes(1_100_000)
    with open_wires(tmp_path, listen_max_instance_mb=1) as wires:
        assert statuses(store(wires, sent)) == [0xC004]


def test_callers_that_are_not_on_the_list_are_rejected(tmp_path: Path) -> None:
    with open_wires(tmp_path, listen_allow=("MODALITY", "PACS@10.1.0.0/16")) as wires:
        assert (
            dcmtk("echoscu", "-aet", "MODALITY", "-aec", "RADSUITE", "127.0.0.1", wires.port).returncode == 0
        )
        for caller in ("PACS", "STRANGER"):
            answer = dcmtk("echoscu", "-aet", caller, "-aec", "RADSUITE", "127.0.0.1", wires.port)
            assert answer.returncode != 0
            assert "Calling AE Title Not Recognized" in answer.stderr
        answer = dcmtk("echoscu", "-aet", "MODALITY", "-aec", "OTHER", "127.0.0.1", wires.port)
        assert "Called AE Title Not Recognized" in answer.stderr
        assert wires.actions().count("association.rejected") == 2


@pytest.mark.parametrize(
    ("lines", "caller", "address", "admitted"),
    [
        ((), "ANY", "10.0.0.1", True),
        (("A",), "A", "10.0.0.1", True),
        (("A",), "B", "10.0.0.1", False),
        (("A@10.0.0.1",), "A", "10.0.0.2", False),
        (("A@10.0.0.0/24", "B"), "A", "10.0.0.200", True),
        (("*@10.0.0.0/24",), "X", "10.0.1.1", False),
        (("*@fd00::/8",), "X", "fd00::1", True),
        (("A@10.0.0.0/8",), "A ", "::ffff:10.2.3.4", True),
        (("*",), "X", "2001:db8::1", True),
    ],
)
def test_the_list_compares_titles_and_networks(
    lines: tuple[str, ...], caller: str, address: str, admitted: bool
) -> None:
    assert parse(lines).admits(caller, address) is admitted


@pytest.mark.parametrize("line", ["", "A@nowhere", "SEVENTEEN_LETTERS", "A@10.0.0.0/64"])
def test_a_line_that_is_not_understood_is_named(line: str) -> None:
    with pytest.raises(RecipeError, match="listen_allow"):
        parse([line])


def test_one_association_too_many_is_rejected_for_now(tmp_path: Path) -> None:
    entity = AE()
    entity.add_requested_context("1.2.840.10008.1.1")
    with open_wires(tmp_path, listen_max_associations=1) as wires:
        first = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE")
        second = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE")
        assert (first.is_established, second.is_rejected) == (True, True)
        first.release()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_with_tls_only_callers_with_a_certificate_of_the_authority_come_in(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    server, client, other = (
        authority.issue_cert("localhost"),
        authority.issue_cert("modality"),
        stranger.issue_cert("modality"),
    )
    files = {
        "server.pem": server.cert_chain_pems[0],
        "key.pem": server.private_key_pem,
        "ca.pem": authority.cert_pem,
    }
    for name, blob in files.items():
        blob.write_to_path(tmp_path / name)

    def context(leaf: trustme.LeafCert | None) -> ssl.SSLContext:
        made = ssl.create_default_context()
        authority.configure_trust(made)
        if leaf is not None:
            leaf.configure_cert(made)
        return made

    with open_wires(
        tmp_path / "data",
        listen_certificate=tmp_path / "server.pem",
        listen_key=tmp_path / "key.pem",
        listen_client_ca=tmp_path / "ca.pem",
    ) as wires:
        silent = socket.create_connection(("127.0.0.1", wires.port))  # says nothing, and keeps nobody out
        entity = AE()
        entity.add_requested_context("1.2.840.10008.1.1")
        outcomes = []
        for tls in (
            (context(client), "localhost"),
            (context(other), "localhost"),
            (context(None), "localhost"),
            None,
        ):
            association = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE", tls_args=tls)
            outcomes.append(association.is_established and association.send_c_echo().get("Status") == 0)
            association.abort()
        silent.close()
    gc.collect()  # the caller's library leaves the sockets of failed handshakes to the collector
    assert outcomes == [True, False, False, False]


def test_a_wrong_certificate_is_said_in_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    with (
        pytest.raises(InputError, match=r"bad.pem: certificate or key cannot be used"),
        open_wires(tmp_path, listen_certificate=bad, listen_key=bad),
    ):
        pass


def test_a_port_in_use_is_said_in_one_sentence(tmp_path: Path) -> None:
    with (
        open_wires(tmp_path / "one") as wires,
        pytest.raises(InputError, match="cannot be listened on"),
        open_wires(tmp_path / "two", listen_port=wires.port),
    ):
        pass


def test_a_listener_others_can_reach_needs_a_list(tmp_path: Path) -> None:
    from suite.settings import load_settings

    with pytest.raises(RecipeError, match="RADSUITE_LISTEN_ALLOW"):
        load_settings(data=tmp_path, listen_port=11112, listen_host="0.0.0.0")


def test_dcmtk_sends_whole_folders(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    films = [film(SOPClassUID=DX, Modality="DX", StudyInstanceUID=generate_uid()) for _ in range(4)]
    for number, dataset in enumerate(films):
        save(dataset, folder / f"{number}.dcm")
    with open_wires(tmp_path / "data") as wires:
        answer = dcmtk("storescu", "-aec", "RADSUITE", "+sd", "127.0.0.1", wires.port, folder)
        assert answer.returncode == 0, answer.stderr
        assert wires.stored_files() == sorted(f"{dataset.SOPInstanceUID}.dcm" for dataset in films)
        assert len(wires.exchange.closer.run_once()) == 4


def test_many_senders_of_one_study_make_one_study(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    sent = film()
    content = as_bytes(sent)
    with open_wires(tmp_path) as wires, ThreadPoolExecutor(8) as pool:
        take = wires.exchange.reception.take
        fates = [str(taken.fate) for taken in pool.map(lambda n: take(content, f"S{n}@x"), range(50))]
        assert sorted(fates) == ["known"] * 49 + ["new"]
        closers = list(pool.map(lambda _: wires.exchange.closer.run_once(), range(8)))
        assert sum(map(len, closers)) >= 1
        assert wires.sent.qsize() == 1
