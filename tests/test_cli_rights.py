"""Folders that may not be written or looked into are told of before anything is computed for nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from suite import storage
from suite.cli import main
from suite.errors import StorageError
from suite.settings import Settings
from tests import fake_stages
from tests.made_films import chest_pixels, write_16_bit


def forbid(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take the right to write into ``folder`` away, also from an administrator."""
    real = os.access
    monkeypatch.setattr(storage.os, "access", lambda path, mode: Path(path) != folder and real(path, mode))


@pytest.mark.parametrize("below", ["readings", "readings/of/today"])
def test_no_film_is_read_for_a_folder_that_takes_nothing(
    below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_study: object) -> dict[str, object]:
        raise AssertionError("a film was read")

    fake_stages.install(monkeypatch, [fake_stages.fake("gate", "frontal", "gate", read)])
    film, place = write_16_bit(tmp_path / "film.png", chest_pixels(40, 40)), tmp_path / "place"
    place.mkdir()
    forbid(monkeypatch, place)
    result = CliRunner().invoke(main, ["analyze", str(film), "--out", str(place / below)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.strip() == (
        f"{place / below}: {place} may not be written to; choose another folder."
    )
    assert list(place.iterdir()) == []


def test_what_a_folder_holds_beside_films_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A film may be among it, exported under a format that is not read."""
    fake_stages.install(monkeypatch, fake_stages.whole_house())
    write_16_bit(tmp_path / "films" / "film.png", chest_pixels(40, 40))
    for number in range(5):
        (tmp_path / "films" / f"{number}.npy").write_bytes(b"\x93NUMPY")
    result = CliRunner().invoke(main, ["analyze", str(tmp_path / "films"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0
    named = ", ".join(str(tmp_path / "films" / f"{number}.npy") for number in range(3))
    assert result.stderr.strip() == (
        f"passed over, because the content is no DICOM, PNG, JPEG or TIFF: {named} and 2 more."
    )


@pytest.mark.parametrize("names", [("film.dcm",), ("a.png", "b.png"), ("report.json", "notes.txt")])
def test_a_folder_of_something_else_is_never_replaced_by_a_reading(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--out .` beside a folder that is called as the film is."""
    fake_stages.install(monkeypatch, fake_stages.whole_house())
    film, folder = write_16_bit(tmp_path / "film.png", chest_pixels(40, 40)), tmp_path / "film"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("mine")
    result = CliRunner().invoke(main, ["analyze", str(film), "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "which is no part of a reading and would be lost; move it away" in result.stderr
    assert {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys(names, "mine")


def test_a_file_is_never_replaced_by_a_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_stages.install(monkeypatch, fake_stages.whole_house())
    film = write_16_bit(tmp_path / "film.png", chest_pixels(40, 40))
    (tmp_path / "film").write_text("mine")
    result = CliRunner().invoke(main, ["analyze", str(film), "--out", str(tmp_path)])
    assert (result.exit_code, "could not be made or opened" in result.stderr) == (1, True)
    assert (tmp_path / "film").read_text() == "mine"


def test_a_reading_is_replaced_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_stages.install(monkeypatch, fake_stages.whole_house())
    film = write_16_bit(tmp_path / "film.png", chest_pixels(40, 40))
    for _ in range(2):
        assert CliRunner().invoke(main, ["analyze", str(film), "--out", str(tmp_path / "out")]).exit_code == 0
        (tmp_path / "out/film/.DS_Store").touch()


def test_a_film_is_not_its_own_lateral(tmp_path: Path) -> None:
    film = str(write_16_bit(tmp_path / "film.png", chest_pixels(40, 40)))
    result = CliRunner().invoke(main, ["analyze", film, "--lateral", film, "--out", str(tmp_path / "out")])
    assert (result.exit_code, "is the same file as the frontal film" in result.stderr) == (2, True)


def test_a_file_in_the_way_of_a_folder_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file may not be written to"):
        storage.check_writable(tmp_path / "file" / "readings")


def test_the_doctor_goes_on_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_settings: Settings, _now: float) -> bool:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("suite.jobs.probes.clock_is_sane", refuse)
    monkeypatch.setattr("suite.commands.doctor.installed", lambda _group: {})
    monkeypatch.setattr("suite.commands.doctor.shipped_cards", lambda: ())
    result = CliRunner().invoke(main, ["doctor", "--data", str(tmp_path), "--json"])
    (told,) = [each for each in json.loads(result.stdout) if each["name"] == "Data folder"]
    assert (result.exit_code, told["well"]) == (1, False)
    assert told["detail"] == (
        f"{tmp_path} cannot be looked into (Permission denied); check its rights, or name another with "
        "--data or RADSUITE_DATA"
    )


def test_a_folder_below_one_that_may_not_be_looked_into_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Path.stat

    def stat(path: Path, **more: bool) -> os.stat_result:
        if tmp_path in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path, **more)

    monkeypatch.setattr(Path, "stat", stat)
    forbid(monkeypatch, tmp_path)
    with pytest.raises(StorageError, match="may not be written to; choose another folder"):
        storage.check_writable(tmp_path / "closed" / "readings")


def test_a_calibration_that_may_not_be_looked_at_is_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(StorageError, match=r"calibration: cannot be looked at .* set RADSUITE_DATA"):
        _ = Settings(data=tmp_path).calibration
