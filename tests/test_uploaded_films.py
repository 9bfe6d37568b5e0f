"""Films that were handed in through interface or pages: their names, and their place in DICOMweb."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.accounts.principal import Scope
from suite.jobs.models import Instance
from suite.settings import load_settings
from tests.api_house import SECRET, Program, json_of, program
from tests.dicom_network_house import as_bytes, film, film_pair
from tests.jobs_fakes import film_png
from tests.web_house import House, open_house
from web import create_app
from web.services import open_services

NAME = "Mustermann_Erika_19501224"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """The service as it is run, apart from its networks and its queue."""
    with open_house(tmp_path, secret=SECRET) as opened:
        opened.services.database.close()
        opened.services = open_services(opened.settings, publish=opened.sent.put)
        opened.app = create_app(opened.settings, services=opened.services)
        yield opened
        opened.services.database.close()


@pytest.fixture
def robot(house: House) -> Program:
    return program(house, Scope.ADMIN)


def hand_in(robot: Program, *films: tuple[str, bytes], **more: Any) -> list[dict[str, Any]]:
    answer = json_of(robot.hand_in(*films, **more))
    assert answer["refused"] == []
    found: list[dict[str, Any]] = answer["accepted"]
    return found


def instances(house: House) -> list[Instance]:
    with house.services.database.read() as session:
        return list(session.query(Instance))


def found_by_dicomweb(robot: Program, path: str) -> list[dict[str, Any]]:
    answer = robot.get(f"/api/dicomweb{path}")
    assert answer.status_code in (200, 204), answer.text
    return answer.get_json(force=True) if answer.data else []


def test_an_id_says_nothing_of_the_files_name_which_stays_with_the_film(house: House, robot: Program) -> None:
    (taken,) = hand_in(robot, (f"{NAME}.png", film_png()))
    assert re.fullmatch(r"[2-9B-DF-HJKMNP-TV-XZ]{4}-[2-9B-DF-HJKMNP-TV-XZ]{4}", taken["id"])
    assert taken["names"] == [f"{NAME}.png"]
    stored = house.services.catalogue.study(taken["id"])
    assert stored is not None
    assert (stored.display_id, stored.frontal_name) == (taken["id"], f"{NAME}.png")


def test_the_name_is_in_no_address_folder_or_line_of_the_log(
    house: House, robot: Program, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        (taken,) = hand_in(robot, (f"{NAME}.png", film_png()))
        listed = json_of(robot.get(f"/studies/{taken['id']}"))
    links = [value for key, value in {**taken, **listed}.items() if key.endswith("url")]
    folders = [path.name for path in house.settings.data.rglob("*")]
    events = json_of(robot.get("/audit"))
    assert links
    for text in (*links, *folders, caplog.text, str(events)):
        assert NAME not in text


def test_the_same_film_under_another_name_is_the_same_study(robot: Program) -> None:
    (first,) = hand_in(robot, (f"{NAME}.png", film_png()))
    (second,) = hand_in(robot, ("other.png", film_png()))
    assert (second["id"], second["new"]) == (first["id"], False)


def test_two_films_of_one_name_are_two_studies(robot: Program) -> None:
    first, second = hand_in(robot, ("film.png", film_png(1)), ("film.png", film_png(2)))
    assert first["id"] != second["id"]


def test_handed_in_dicom_films_are_found_and_retrieved(house: House, robot: Program) -> None:
    frontal, lateral = film_pair()
    (taken,) = hand_in(robot, ("a.dcm", as_bytes(frontal)), ("b.dcm", as_bytes(lateral)))
    (study,) = found_by_dicomweb(robot, "/studies?PatientID=secret-7")
    assert study["0020000D"]["Value"] == [frontal.StudyInstanceUID]
    assert study["00201208"]["Value"] == [2]
    path = (
        f"/studies/{frontal.StudyInstanceUID}/series/{frontal.SeriesInstanceUID}"
        f"/instances/{frontal.SOPInstanceUID}"
    )
    assert as_bytes(frontal) in robot.get(f"/api/dicomweb{path}").data
    assert {row.study_id for row in instances(house)} == {taken["id"]}
    assert {row.received_from for row in instances(house)} == {"upload"}


def test_they_do_not_wait_to_be_handed_in_once_more(house: House, robot: Program) -> None:
    hand_in(robot, ("a.dcm", as_bytes(film())))
    assert list((house.settings.data / "instances").glob("arrivals/*")) == []
    assert house.sent.qsize() == 1


def test_pictures_are_in_no_dicomweb(house: House, robot: Program) -> None:
    hand_in(robot, ("chest.png", film_png()))
    assert instances(house) == []
    assert found_by_dicomweb(robot, "/studies") == []


def test_a_film_whose_uid_another_film_has_is_read_and_the_first_one_stays(
    house: House, robot: Program, caplog: pytest.LogCaptureFixture
) -> None:
    first = film()
    second = film(SOPInstanceUID=first.SOPInstanceUID, PatientID="other")
    (one,) = hand_in(robot, ("a.dcm", as_bytes(first)))
    (two,) = hand_in(robot, ("b.dcm", as_bytes(second)))
    assert one["id"] != two["id"]
    assert [row.study_id for row in instances(house)] == [one["id"]]
    assert "is not in DICOMweb" in caplog.text
    assert first.SOPInstanceUID not in caplog.text


def test_a_removed_study_is_gone_from_dicomweb(house: House, robot: Program) -> None:
    (taken,) = hand_in(robot, ("a.dcm", as_bytes(film())))
    assert robot.delete(f"/studies/{taken['id']}").status_code == 204
    assert found_by_dicomweb(robot, "/studies") == []
    assert list((house.settings.data / "instances").rglob("*.dcm")) == []


def test_a_film_that_came_alone_and_again_with_its_lateral_stays_while_one_of_the_two_studies_does(
    house: House, robot: Program
) -> None:
    frontal, lateral = (as_bytes(dataset) for dataset in film_pair())
    (alone,) = hand_in(robot, ("a.dcm", frontal))
    (both,) = hand_in(robot, ("a.dcm", frontal), ("b.dcm", lateral))
    assert robot.delete(f"/studies/{alone['id']}").status_code == 204
    assert [row.study_id for row in instances(house)] == [both["id"]] * 2
    (study,) = found_by_dicomweb(robot, "/studies")
    assert study["00201208"]["Value"] == [2]


def test_films_from_the_pages_are_found_too(tmp_path: Path) -> None:
    services = open_services(load_settings(data=tmp_path), publish=lambda *_: None)
    client = create_app(services.settings, services=services).test_client()
    page = client.get("/", headers={"Accept": "text/html"}).text
    token = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert token is not None
    form = {"files": [(io.BytesIO(as_bytes(film())), "a.dcm")], "csrf_token": token[1]}
    answer = client.post("/studies", data=form, headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    assert len(client.get("/api/dicomweb/studies").get_json(force=True)) == 1
    services.database.close()
