"""What the listener does not take: films that are none, are not the announced ones, or are too large."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE

from suite.dicom.network.statuses import MAX_COMMENT, comment
from suite.errors import InputError
from tests.dicom_network_house import (
    as_bytes,
    film,
    open_wires,
    statuses,
    store,
    wait_until,
    without_leftovers,
)
from tests.dicom_zoo import CR, SECONDARY_CAPTURE

CT = "1.2.840.10008.5.1.4.1.1.2"

SUCCESS, OUT_OF_RESOURCES, WRONG_CLASS, UNREADABLE = 0x0000, 0xA700, 0xA900, 0xC000

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""pynetdicom leaves the socket of an association that the peer ended to the garbage collector."""


@pytest.fixture(autouse=True)
def nothing_left_to_collect() -> Iterator[None]:
    """Those sockets, while their warning is expected."""
    with without_leftovers():
        yield


def test_another_film_with_a_known_uid_is_refused_and_the_first_is_kept(tmp_path: Path) -> None:
    first = film()
    second = film(
        SOPInstanceUID=first.SOPInstanceUID, StudyInstanceUID=first.StudyInstanceUID, PatientAge="007Y"
    )
    with open_wires(tmp_path) as wires:
        store(wires, first)
        (answer,) = store(wires, second)
        assert answer.Status == 0xC003
        assert answer.ErrorComment == "UID known with other content; remove that study here first."
        kept = wires.exchange.archive.instance(first.SOPInstanceUID)
        assert kept is not None
        assert b"062Y" in kept.read_bytes()
        assert len(wires.stored_files()) == 1


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


def test_a_caller_with_nothing_to_take_is_told_of_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entity = AE(ae_title="CT1")
    entity.add_requested_context(CT)
    with open_wires(tmp_path) as wires:
        entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE")
        wait_until(lambda: "CT1@127.0.0.1: nothing it offers is taken" in caplog.text)


def test_an_association_that_breaks_off_in_a_film_leaves_nothing_but_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent = film()
    with open_wires(tmp_path) as wires:
        entity = AE(ae_title="MODALITY")
        entity.add_requested_context(CR, sent.file_meta.TransferSyntaxUID)
        association = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE")
        original, sent_pieces = association.dul.send_pdu, []

        def cut(primitive: Any) -> None:
            """The command arrives, and of the film nothing."""
            sent_pieces.append(primitive)
            original(primitive)
            if len(sent_pieces) == 1:
                association.abort()

        association.dul.send_pdu = cut
        association.send_c_store(sent)
        wait_until(lambda: "broke off after" in caplog.text)
        assert wires.stored_files() == []
    assert "nothing of it is kept" in caplog.text


def test_a_comment_is_cut_between_clauses() -> None:
    error = InputError("film: could not be stored (No space left on device); free space in the data folder.")
    assert comment(error) == "could not be stored (No space left on device)"
    assert len(comment(InputError("film: " + "word " * 40))) <= MAX_COMMENT
