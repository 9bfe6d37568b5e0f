"""DICOMweb as its users see it: dicomweb-client stores, searches and retrieves."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless, generate_uid

from suite.dicom.network.completeness import StudyCloser
from suite.dicom.network.index import InstanceIndex
from suite.jobs.models import Instance
from tests.dicom_network_house import as_bytes, film, film_pair
from tests.web_house import House, open_house

SECRET = "a-secret-of-the-house"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path, secret=SECRET) as opened:
        yield opened


@pytest.fixture
def address(house: House) -> Iterator[str]:
    with house.open_for_browsers() as base:
        yield f"{base}/api/dicomweb"


@pytest.fixture
def client(address: str) -> DICOMwebClient:
    return DICOMwebClient(address, headers={"Authorization": f"Bearer {SECRET}"})


def multipart(*contents: bytes, boundary: str = "between") -> tuple[bytes, dict[str, str]]:
    parts = [
        b"--" + boundary.encode() + b"\r\nContent-Type: application/dicom\r\n\r\n" + c + b"\r\n"
        for c in contents
    ]
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    headers = {"Content-Type": kind, "Authorization": f"Bearer {SECRET}"}
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), headers


def store(house: House, *contents: bytes, path: str = "") -> Any:
    body, headers = multipart(*contents)
    return house.client.post(f"/api/dicomweb/studies{path}", data=body, headers=headers)


def get(house: House, path: str, **headers: str) -> Any:
    return house.client.get(f"/api/dicomweb{path}", headers={"Authorization": f"Bearer {SECRET}", **headers})


def instance_path(dataset: Dataset) -> str:
    return (
        f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}"
    )


def test_what_the_client_stores_it_finds_and_retrieves_unchanged(client: DICOMwebClient) -> None:
    frontal, lateral = film_pair()
    answer = client.store_instances([frontal, lateral])
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [
        frontal.SOPInstanceUID,
        lateral.SOPInstanceUID,
    ]
    (study,) = client.search_for_studies(search_filters={"PatientID": "secret-7"})
    assert study["0020000D"]["Value"] == [frontal.StudyInstanceUID]
    assert study["00201208"]["Value"] == [2]
    assert len(client.search_for_series(frontal.StudyInstanceUID)) == 2
    assert len(client.search_for_instances(frontal.StudyInstanceUID)) == 2
    kept = client.retrieve_instance(
        frontal.StudyInstanceUID, frontal.SeriesInstanceUID, frontal.SOPInstanceUID
    )
    assert kept == frontal
    assert {item.SOPInstanceUID for item in client.retrieve_study(frontal.StudyInstanceUID)} == {
        frontal.SOPInstanceUID,
        lateral.SOPInstanceUID,
    }


def test_the_client_gets_metadata_frames_and_bulk_data(client: DICOMwebClient) -> None:
    sent = film()
    client.store_instances([sent])
    uids = (sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID)
    (metadata,) = client.retrieve_study_metadata(sent.StudyInstanceUID)
    assert metadata["00100010"]["Value"] == [{"Alphabetic": "Nobody^Known"}]
    assert "Value" not in metadata["7FE00010"]
    (frame,) = client.retrieve_instance_frames(*uids, [1])
    assert frame == sent.PixelData[: 67 * 45 * 2]
    (bulk,) = client.retrieve_bulkdata(metadata["7FE00010"]["BulkDataURI"])
    assert bulk == sent.PixelData


def test_a_picture_follows_window_viewport_and_format(house: House) -> None:
    sent = film(WindowCenter=2048, WindowWidth=4096)
    store(house, as_bytes(sent))
    shown = get(house, f"{instance_path(sent)}/rendered", Accept="image/png")
    assert shown.content_type == "image/png"
    pixels = cv2.imdecode(np.frombuffer(shown.data, np.uint8), cv2.IMREAD_UNCHANGED)
    stored = np.frombuffer(sent.PixelData[: 67 * 45 * 2], "<u2").reshape(67, 45)
    # PS3.3 C.11.2.1.2.1 with centre 2048, width 4096 is x / 4095 on 0 to 4095.
    assert np.abs(pixels - stored / 4095 * 255).max() <= 0.51
    narrow = get(house, f"{instance_path(sent)}/rendered?window=1000,501,linear", Accept="image/png")
    pixels = cv2.imdecode(np.frombuffer(narrow.data, np.uint8), cv2.IMREAD_UNCHANGED)
    expected = np.clip((stored - 999.5) / 500 + 0.5, 0, 1) * 255
    assert np.abs(pixels - expected).max() <= 0.51
    small = get(house, f"{instance_path(sent)}/rendered?viewport=20,20&quality=50", Accept="image/jpeg")
    assert small.content_type == "image/jpeg"
    assert cv2.imdecode(np.frombuffer(small.data, np.uint8), cv2.IMREAD_UNCHANGED).shape == (20, 13)
    for query in (
        "viewport=0,5",
        "window=1,2,cubic",
        "quality=0",
        "viewport=1",
        "window=nan,5",
        "viewport=9,9,60,60,9,9",
    ):
        assert get(house, f"{instance_path(sent)}/rendered?{query}").status_code in (400, 422), query


def test_compressed_films_come_as_stored_or_uncompressed(house: House) -> None:
    sent = film()
    plain = sent.PixelData
    sent.compress(RLELossless, generate_instance_uid=False)
    store(house, as_bytes(sent))
    path = instance_path(sent)
    for accept, syntax in (
        ("application/dicom; transfer-syntax=*", RLELossless),
        ("application/dicom", RLELossless),
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1"),
    ):
        found = dcmread(BytesIO(get(house, path, Accept=accept).data))
        assert found.file_meta.TransferSyntaxUID == syntax
    assert found.PixelData == plain
    other = get(house, path, Accept="application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90")
    assert other.status_code == 406
    frames = get(house, f"{path}/frames/1", Accept='multipart/related; type="image/dicom-rle"')
    assert b"Content-Type: image/dicom-rle" in frames.data
    frames = get(house, f"{path}/frames/1", Accept='multipart/related; type="application/octet-stream"')
    assert plain[: 67 * 45 * 2] in frames.data


def test_each_instance_of_a_request_has_its_own_answer(house: House) -> None:
    good, ultrasound = film(), film(Modality="US")
    answer = store(house, as_bytes(good), as_bytes(ultrasound), b"no DICOM at all")
    assert answer.status_code == 202
    body = answer.get_json(force=True)
    (stored,) = body["00081199"]["Value"]
    assert stored["00081155"]["Value"] == [good.SOPInstanceUID]
    assert stored["00081190"]["Value"][0].endswith(instance_path(good))
    (failed,) = body["00081198"]["Value"]
    assert failed["00081155"]["Value"] == [ultrasound.SOPInstanceUID]
    assert failed["00081197"]["Value"] == [0xA900]
    assert body["0008119A"]["Value"][0]["00081197"]["Value"] == [0xC000]
    assert "Nobody" not in answer.text
    with house.services.database.read() as session:
        assert [row.sop_instance_uid for row in session.query(Instance)] == [good.SOPInstanceUID]


def test_when_nothing_was_stored_the_answer_is_a_conflict(house: House) -> None:
    assert store(house, as_bytes(film(Modality="CT"))).status_code == 409
    known = film()
    assert store(house, as_bytes(known)).status_code == 200
    assert store(house, as_bytes(known)).status_code == 200
    other = film(SOPInstanceUID=known.SOPInstanceUID, PatientSex="M")
    answer = store(house, as_bytes(other))
    assert answer.status_code == 409
    assert answer.get_json(force=True)["00081198"]["Value"][0]["00081197"]["Value"] == [0xC003]


def test_an_instance_of_another_study_than_the_address_says_is_refused(house: House) -> None:
    sent = film()
    assert store(house, as_bytes(sent), path=f"/{generate_uid()}").status_code == 409
    assert store(house, as_bytes(sent), path=f"/{sent.StudyInstanceUID}").status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/dicom+json", 415),
        (b"x", 'multipart/related; type="application/dicom+json"; boundary=b', 415),
        (b"", 'multipart/related; type="application/dicom"; boundary=b', 400),
        (b"--c\r\n\r\nx\r\n--c--", 'multipart/related; type="application/dicom"; boundary=b', 400),
        (b"--b\r\n\r\nx", 'multipart/related; type="application/dicom"; boundary=b', 400),
        (b"--b--", 'multipart/related; type="application/dicom"; boundary=b', 400),
        (b"--b\r\n\r\nx\r\n--b--", 'multipart/related; type="application/dicom"', 400),
    ],
)
def test_a_body_that_is_no_request_is_a_problem(house: House, body: bytes, kind: str, status: int) -> None:
    headers = {"Content-Type": kind, "Authorization": f"Bearer {SECRET}"}
    answer = house.client.post("/api/dicomweb/studies", data=body, headers=headers)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"


def test_nobody_comes_in_without_the_secret(house: House, address: str) -> None:
    sent = film()
    body, headers = multipart(as_bytes(sent))
    for wrong in ({}, {"Authorization": "Bearer something-else-entirely"}):
        asked = requests.post(
            f"{address}/studies", data=body, headers={**headers, "Authorization": "", **wrong}, timeout=30
        )
        assert asked.status_code == 401
        assert requests.get(f"{address}/studies", headers=wrong, timeout=30).status_code == 401
    with house.services.database.read() as session:
        assert session.query(Instance).count() == 0


def test_a_page_of_another_site_cannot_store_through_a_browser(tmp_path: Path) -> None:
    body, headers = multipart(as_bytes(film()))
    del headers["Authorization"]
    with open_house(tmp_path) as house:
        answer = house.client.post(
            "/api/dicomweb/studies", data=body, headers={**headers, "Origin": "http://evil"}
        )
        assert answer.status_code == 403
        assert house.client.post("/api/dicomweb/studies", data=body, headers=headers).status_code == 200


def test_searches_match_as_the_standard_says(house: House) -> None:
    first = film(PatientName="Adams^Ann", StudyDate="20240115", AccessionNumber="A-1", StudyTime="083000")
    second = film(PatientName="Baker^Bob", StudyDate="20240220", AccessionNumber="B-2", PatientID="p2")
    third = film(
        PatientName="Bäcker^Eva", StudyDate="20250101", Modality="DX", SpecificCharacterSet="ISO_IR 192"
    )
    for dataset in (first, second, third):
        assert store(house, as_bytes(dataset)).status_code == 200
    names = {dataset.StudyInstanceUID: str(dataset.PatientName)[0:5] for dataset in (first, second, third)}

    def found(query: str) -> list[str]:
        answer = get(house, f"/studies?{query}")
        assert answer.status_code == 200, answer.text
        return sorted(names[item["0020000D"]["Value"][0]] for item in answer.get_json(force=True))

    assert found("") == ["Adams", "Baker", "Bäcke"]
    assert found("PatientName=adams*") == ["Adams"]
    assert found("PatientName=B?ker^*") == ["Baker"]
    assert found("00100010=*%5EEva") == ["Bäcke"]
    assert found("StudyDate=20240101-20240131") == ["Adams"]
    assert found("StudyDate=20240201-") == ["Baker", "Bäcke"]
    assert found("StudyDate=-20240220") == ["Adams", "Baker"]
    assert found("StudyTime=0800-0900") == ["Adams"]
    assert found("AccessionNumber=B-2&PatientID=p2") == ["Baker"]
    assert found("AccessionNumber=B-2&PatientID=secret-7") == []
    assert found("ModalitiesInStudy=DX") == ["Bäcke"]
    assert found(f"StudyInstanceUID={first.StudyInstanceUID},{second.StudyInstanceUID}") == ["Adams", "Baker"]
    assert found(f"SOPInstanceUID={third.SOPInstanceUID}") == ["Bäcke"]
    assert found("PatientName=a%25") == []
    assert len(found("limit=2")) == 2
    assert len(found("limit=2&offset=2")) == 1
    assert get(house, "/studies?Nonsense=1").status_code == 422
    assert get(house, "/studies?limit=-1").status_code == 400
    fuzzy = get(house, "/studies?PatientName=Adams*&fuzzymatching=true")
    assert fuzzy.headers["Warning"].startswith("299 ")
    assert "00181164" not in get(house, "/instances?limit=1").get_json(force=True)[0]


def test_an_instance_that_is_not_here_is_not_found(house: House) -> None:
    sent = film()
    store(house, as_bytes(sent))
    for path in (
        f"/studies/{generate_uid()}",
        f"/studies/{sent.StudyInstanceUID}/series/{generate_uid()}",
        f"{instance_path(sent)}/frames/2",
        f"{instance_path(sent)}/bulkdata/00100010",
        f"{instance_path(sent)}/bulkdata/nothing",
        "/studies/..%2f..%2fetc/metadata",
    ):
        assert get(house, path).status_code == 404, path


def test_stored_films_become_a_study_once_they_are_quiet(house: House, tmp_path: Path) -> None:
    from suite.dicom.network.archive import Archive
    from suite.jobs.submission import Submission

    frontal, lateral = film_pair()
    for dataset in (frontal, lateral):
        store(house, as_bytes(dataset))
    parts = house.services
    archive = Archive(house.settings.data)
    closer = StudyCloser(
        archive,
        InstanceIndex(parts.database, archive, house.settings.data),
        parts.store,
        Submission(parts.database, parts.store, house.sent.put),
        quiet_seconds=0.0,
    )
    closer.run_once()
    (study,) = parts.catalogue.studies()
    assert (study.frontal_name, study.lateral_name) == (frontal.SOPInstanceUID, lateral.SOPInstanceUID)
    assert house.sent.qsize() == 1
