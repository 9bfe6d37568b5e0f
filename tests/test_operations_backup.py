"""Backups: whole, consistent while the service runs, checked before they come back."""

from __future__ import annotations

import shutil
import sqlite3
import tarfile
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from suite.cli import main
from suite.errors import InputError, StorageError
from suite.jobs.backup import backup, restore
from suite.settings import load_settings
from tests.jobs_fakes import film_png
from tests.jobs_services import Server, new_database
from tests.web_house import House, open_house


@pytest.mark.skipif(shutil.which("pg_dump") is None, reason="pg_dump (postgresql-client) is not installed")
def test_a_backup_on_postgresql_comes_back_into_another_database(postgres: Server, tmp_path: Path) -> None:
    first, second = new_database(postgres), new_database(postgres)
    with open_house(tmp_path / "data", database_url=first) as house:
        _take(house, 1)
        house.work()
        _take(house, 2)
        backup(house.settings, tmp_path / "copy.tar")
        before = _standing(house)
        _take(house, 3)  # comes after the copy and is not in it
    restore(load_settings(data=tmp_path / "again", database_url=second), tmp_path / "copy.tar")

    with open_house(tmp_path / "again", database_url=second) as house:
        assert sorted(_standing(house)) == sorted(before)
        assert len(before) == 2
        _take(house, 2)  # the same films: known, by the rows that came back
        _take(house, 4)  # and there is room for new ones
        house.work()
        assert len(_standing(house)) == 3


@pytest.mark.skipif(shutil.which("pg_dump") is None, reason="pg_dump (postgresql-client) is not installed")
def test_a_backup_is_not_restored_into_a_database_of_another_kind(postgres: Server, tmp_path: Path) -> None:
    with open_house(tmp_path / "data", database_url=new_database(postgres)) as house:
        backup(house.settings, tmp_path / "copy.tar")
    with pytest.raises(InputError, match="another kind of database"):
        restore(load_settings(data=tmp_path / "again"), tmp_path / "copy.tar")


def test_a_password_of_postgresql_stays_out_of_the_message(tmp_path: Path) -> None:
    url = "postgresql://radsuite:carrot-cake@127.0.0.1:1/radsuite"
    with pytest.raises(StorageError) as caught:
        backup(load_settings(data=tmp_path, database_url=url), tmp_path / "copy.tar")
    assert "carrot-cake" not in str(caught.value)


def _take(house: House, seed: int) -> None:
    house.take(f"front-{seed}.png", film_png(seed), f"side-{seed}.png", film_png(seed + 100))


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / "studies").rglob("*"))
        if path.is_file()
    }


def _standing(house: House) -> list[tuple[str, object]]:
    return [(study.id, study.latest and study.latest.state) for study in house.services.catalogue.studies()]


def test_what_was_backed_up_comes_back_and_works(tmp_path: Path) -> None:
    with open_house(tmp_path / "data") as house:
        _take(house, 1)
        house.work()
        _take(house, 2)
        summary = backup(house.settings, tmp_path / "copy.tar")
        before = [
            (study.id, study.latest and study.latest.state) for study in house.services.catalogue.studies()
        ]
    restore(load_settings(data=tmp_path / "again"), tmp_path / "copy.tar")

    assert summary.files > 8
    assert _files(tmp_path / "again") == _files(tmp_path / "data")
    with open_house(tmp_path / "again") as house:
        after = [
            (study.id, study.latest and study.latest.state) for study in house.services.catalogue.studies()
        ]
        assert after == before
        done = house.services.catalogue.study("front-1")
        assert done is not None
        assert done.done is not None
        assert (
            house.services.store.report("front-1", done.done.reading or "")["triage"]["state"] == "abnormal"
        )


def test_a_backup_taken_while_films_come_in_names_only_what_it_holds(tmp_path: Path) -> None:
    with open_house(tmp_path / "data") as house:
        _take(house, 0)
        stop = threading.Event()

        def keep_taking() -> None:
            seed = 1
            while not stop.is_set() and seed < 60:
                _take(house, seed)
                house.work()
                seed += 1

        thread = threading.Thread(target=keep_taking)
        thread.start()
        try:
            for number in range(3):
                backup(house.settings, tmp_path / f"{number}.tar.gz")
        finally:
            stop.set()
            thread.join()
    for number in range(3):
        data = tmp_path / f"again-{number}"
        restore(load_settings(data=data), tmp_path / f"{number}.tar.gz")
        connection = sqlite3.connect(data / "radsuite.sqlite3")
        try:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            films = connection.execute("SELECT id, frontal_file, lateral_file FROM study").fetchall()
            readings = connection.execute("SELECT study_id, reading FROM job WHERE state = 'done'").fetchall()
        finally:
            connection.close()
        assert films
        for study, frontal, lateral in films:
            assert (data / "studies" / study / "source" / frontal).is_file()
            assert (data / "studies" / study / "source" / lateral).is_file()
        for study, reading in readings:
            assert (data / "studies" / study / "readings" / reading / "report.json").is_file()


def _altered(source: Path, target: Path, name: str) -> None:
    """The archive with one byte of one file changed."""
    folder = target.parent / "unpacked"
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    victim = next(folder.rglob(name))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))
    with tarfile.open(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.add(path, path.relative_to(folder).as_posix())
    shutil.rmtree(folder)


@pytest.mark.parametrize("damage", ["database.sqlite3", "frontal.png", "cut", "other"])
def test_a_damaged_backup_is_refused_and_leaves_nothing_behind(damage: str, tmp_path: Path) -> None:
    copy, damaged = tmp_path / "copy.tar", tmp_path / "damaged.tar"
    with open_house(tmp_path / "data") as house:
        _take(house, 1)
        backup(house.settings, copy)
    if damage == "cut":
        damaged.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
    elif damage == "other":
        damaged.write_bytes(b"no archive")
    else:
        _altered(copy, damaged, damage)

    with pytest.raises(InputError, match="take another") as refused:
        restore(load_settings(data=tmp_path / "again"), damaged)
    assert "method" not in str(refused.value)  # what the unpacker tried is nobody's concern
    assert not (tmp_path / "again").exists()
    assert not list(tmp_path.glob(".again*"))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    with open_house(tmp_path / "data") as house:
        _take(house, 1)
        backup(house.settings, tmp_path / "copy.tar")
        with pytest.raises(InputError, match="exists already"):
            backup(house.settings, tmp_path / "copy.tar")
        with pytest.raises(InputError, match="is not empty"):
            restore(house.settings, tmp_path / "copy.tar")
    with pytest.raises(InputError, match="holds no service"):
        backup(load_settings(data=tmp_path / "nowhere"), tmp_path / "other.tar")


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "evil").write_text("evil")
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        archive.add(tmp_path / "evil", "../outside")

    with pytest.raises(InputError, match="no whole backup"):
        restore(load_settings(data=tmp_path / "deep" / "again"), tmp_path / "evil.tar")
    assert not (tmp_path / "deep" / "outside").exists()


def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    with open_house(tmp_path / "data") as house:
        _take(house, 1)
    runner = CliRunner()
    copied = runner.invoke(main, ["backup", str(tmp_path / "copy.tar"), "--data", str(tmp_path / "data")])
    back = runner.invoke(main, ["restore", str(tmp_path / "copy.tar"), "--data", str(tmp_path / "again")])

    assert copied.exit_code == back.exit_code == 0, copied.output + back.output
    assert "sha256 of each checked" in back.output
    assert _files(tmp_path / "again") == _files(tmp_path / "data")
