"""The listener: who may send, what is taken, what each sender is told, and what is never stored."""

from __future__ import annotations

import copy
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import JPEGLSLossless, RLELossless, generate_uid
from pynetdicom import AE

from suite.dicom.network import archive as archive_module
from suite.dicom.network.acceptance import content_sha256
from suite.dicom.network.classes import ACCEPTED_CLASSES, accepted_syntaxes
from tests.dicom_network_house import (
    as_bytes,
    dcmtk,
    film,
    film_pair,
    open_wires,
    statuses,
    store,
    without_leftovers,
)
from tests.dicom_zoo import DX, save

CT = "1.2.840.10008.5.1.4.1.1.2"

SUCCESS, OUT_OF_RESOURCES, WRONG_CLASS, UNREADABLE = 0x0000, 0xA700, 0xA900, 0xC000

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""pynetdicom leaves the socket of an association that the peer ended to the garbage collector."""


@pytest.fixture(autouse=True)
def nothing_left_to_collect() -> Iterator[None]:
    """Those sockets, while their warning is expected."""
    with without_leftovers():
        yield


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


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_the_same_film_compressed_without_loss_is_the_same_film(tmp_path: Path, syntax: str) -> None:
    plain = film()
    squeezed = copy.deepcopy(plain)
    squeezed.compress(syntax, generate_instance_uid=False)
    other = copy.deepcopy(plain)
    other.PixelData = bytes(len(plain.PixelData))
    other.compress(syntax, generate_instance_uid=False)
    with open_wires(tmp_path) as wires:
        assert statuses(store(wires, plain)) == [SUCCESS]
        assert statuses(store(wires, squeezed)) == [SUCCESS]
        assert statuses(store(wires, other)) == [0xC003]
        assert len(wires.instances()) == 1


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_films_are_taken_as_they_are(tmp_path: Path, syntax: str) -> None:
    sent = film()
    sent.compress(syntax, generate_instance_uid=False)
    with open_wires(tmp_path) as wires:
        assert statuses(store(wires, sent)) == [SUCCESS]
        assert wires.instances()[0].transfer_syntax_uid == syntax
        wires.exchange.closer.run_once()
        assert len(wires.studies()) == 1


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


@pytest.mark.parametrize(
    ("fault", "cure"),
    [(errno.ENOSPC, "free space in the data folder"), (errno.EROFS, "check the data folder's rights")],
)
def test_a_full_disk_is_out_of_resources_and_the_film_comes_in_later(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: int,
    cure: str,
) -> None:
    sent = film()

    def full(*_arguments: Any) -> None:
        raise OSError(fault, os.strerror(fault))

    with open_wires(tmp_path) as wires:
        monkeypatch.setattr(archive_module.os, "link", full)
        (answer,) = store(wires, sent)
        assert answer.Status == OUT_OF_RESOURCES
        assert cure in caplog.text
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
