"""A watched folder: complete files are taken once, and the fate of each is written down."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import pytest

from suite.dicom.network.folder_watch import FolderWatch
from suite.errors import InputError
from tests.dicom_network_house import Wires, as_bytes, film, film_pair, open_wires
from tests.jobs_fakes import film_png


def watch(wires: Wires, folder: Path, *, move: bool = False) -> FolderWatch:
    exchange = wires.exchange
    return FolderWatch(
        folder, wires.data, exchange.reception, exchange.objects.store, exchange.closer._submission, move=move
    )


def journal(wires: Wires) -> dict[str, str]:
    with (wires.data / "watch.csv").open(newline="") as stream:
        return {row[1]: row[4] for row in csv.reader(stream)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    return made


def test_films_are_taken_when_two_looks_find_them_unchanged(tmp_path: Path, folder: Path) -> None:
    frontal, lateral = film_pair()
    (folder / "deep").mkdir()
    (folder / "a.dcm").write_bytes(as_bytes(frontal))
    (folder / "deep" / "b").write_bytes(as_bytes(lateral))
    (folder / "film.png").write_bytes(film_png())
    with open_wires(tmp_path / "data") as wires:
        look = watch(wires, folder).look
        assert look() == {}
        assert look() == {"a.dcm": "new", "deep/b": "new", "film.png": "new"}
        assert look() == {}
        wires.exchange.closer.run_once()
        pairs = {(study.frontal_name, study.lateral_name) for study in wires.studies()}
        assert pairs == {(frontal.SOPInstanceUID, lateral.SOPInstanceUID), ("film.png", None)}


def test_a_file_that_still_grows_is_left_until_it_is_whole(tmp_path: Path, folder: Path) -> None:
    content = as_bytes(film())
    path = folder / "film.dcm"
    with open_wires(tmp_path / "data") as wires:
        look = watch(wires, folder).look
        for end in range(1000, len(content), 1000):
            path.write_bytes(content[:end])
            assert look() == {}
        path.write_bytes(content)
        assert look() == {}
        assert look() == {"film.dcm": "new"}


def test_what_is_no_film_is_refused_once_and_taken_when_it_was_put_right(
    tmp_path: Path, folder: Path
) -> None:
    (folder / "notes.txt").write_text("no film")
    (folder / "cut.dcm").write_bytes(as_bytes(film())[:3000])
    (folder / ".hidden").write_bytes(as_bytes(film()))
    (folder / "coming.part").write_bytes(as_bytes(film()))
    (folder / "empty.dcm").touch()
    with open_wires(tmp_path / "data") as wires:
        look = watch(wires, folder).look
        look()
        assert look() == {"cut.dcm": "refused", "notes.txt": "refused"}
        assert look() == {}
        assert wires.stored_files() == []
        (folder / "cut.dcm").write_bytes(as_bytes(film()))
        look()
        assert look() == {"cut.dcm": "new"}
        assert (folder / "cut.dcm").exists()


def test_files_that_stay_are_not_looked_into_again_after_a_restart(tmp_path: Path, folder: Path) -> None:
    (folder / "film.dcm").write_bytes(as_bytes(film()))
    with open_wires(tmp_path / "data") as wires:
        first = watch(wires, folder)
        first.look()
        assert first.look() == {"film.dcm": "new"}
        again = watch(wires, folder)
        assert (again.look(), again.look()) == ({}, {})
        assert journal(wires) == {"film.dcm": "new"}


def test_files_are_moved_by_their_fate(tmp_path: Path, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "film.dcm").write_bytes(as_bytes(film()))
    (folder / "notes.txt").write_text("no film")
    with open_wires(tmp_path / "data") as wires:
        look = watch(wires, folder, move=True).look
        look()
        assert look() == {"notes.txt": "refused", "sub/film.dcm": "new"}
        assert (folder / "taken" / "sub" / "film.dcm").is_file()
        assert (folder / "refused" / "notes.txt").is_file()
        assert (look(), look()) == ({}, {})


def test_a_name_of_a_patient_stays_out_of_the_log(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (folder / "Doe^John.dcm").write_bytes(as_bytes(film()))
    (folder / "Doe^Jane.dcm").write_text("no film")
    with open_wires(tmp_path / "data") as wires:
        look = watch(wires, folder).look
        look()
        look()
        assert journal(wires) == {"Doe^Jane.dcm": "refused", "Doe^John.dcm": "new"}
        assert (wires.data / "watch.csv").stat().st_mode & 0o077 == 0
    assert "Doe" not in caplog.text


def test_a_folder_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    with open_wires(tmp_path / "data") as wires, pytest.raises(InputError, match="no such folder"):
        watch(wires, tmp_path / "nowhere")
