"""A report reaches the disk whole and by its schema, or not at all."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.errors import StorageError, SuiteError
from suite.reading import Reading
from suite.report.schema import validate
from tests import fake_stages
from tests.report_house import finding, read, stored, study

# the schema


def valid(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return copy.deepcopy(dict(read(monkeypatch, fake_stages.whole_house()).report))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schema",), "radsuite.report/2"),
        (("study", "id"), ""),
        (("study", "views"), {}),
        (("study", "views", "frontal", "projection"), "OBLIQUE"),
        (("study", "views", "frontal", "spacing_mm"), [0.0, 0.1]),
        (("gate", "accepted"), "yes"),
        (("triage", "probability"), 1.2),
        (("triage", "interval"), [0.1]),
        (("triage", "state"), "sick"),
        (("findings", 0, "code"), "cold"),
        (("findings", 0, "state"), "maybe"),
        (("findings", 11, "score"), 1.0),
        (("findings", 11, "probability"), 0.5),
        (("findings", 8, "regions", 0, "box"), [0, 0, -1, 5]),
        (("findings", 8, "regions", 0, "inside_lung"), 1.5),
        (("images", "film"), "film.jpg"),
        (("provenance", "stages", 0, "weights_sha256"), "abc"),
        (("measurements",), {"lung_area_px": "large"}),
        (("surprise",), 1),
    ],
)
def test_a_report_that_breaks_the_schema_is_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: tuple[str | int, ...], value: Any
) -> None:
    report = valid(monkeypatch)
    inner: Any = report
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(SuiteError, match=r"does not follow radsuite\.report/1"):
        Reading(report, {}).write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_twelve_findings_are_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    report = valid(monkeypatch)
    report["findings"].pop()
    with pytest.raises(SuiteError, match="findings does not follow"):
        validate(report)


def test_a_number_that_is_not_finite_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = valid(monkeypatch)
    report["triage"]["score"] = float("nan")
    with pytest.raises(SuiteError, match="study s1 holds a number that is not finite"):
        Reading(report, {}).write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# writing


def test_everything_the_report_names_is_written_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reading = read(monkeypatch, fake_stages.whole_house())
    path = reading.write(tmp_path / "deep" / "out")
    assert json.loads(path.read_text()) == reading.report
    named = {*reading.report["images"].values(), *finding(reading, "pneumothorax")["heatmap"].values()}
    assert {each.name for each in path.parent.iterdir()} == {"report.json", *named}
    for name, picture in reading.images.items():
        np.testing.assert_array_equal(stored(path.parent, name), picture)


def test_writing_again_replaces_the_folder_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "out"
    read(monkeypatch, fake_stages.whole_house(), study(lateral=True)).write(out)
    assert (out / "film_lateral.png").exists()
    read(monkeypatch, [fake_stages.gate("No.")]).write(out)
    assert {path.name for path in out.iterdir()} == {"report.json", "film.png"}
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("killed")])
def test_a_crash_while_writing_leaves_the_old_folder_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    out = tmp_path / "out"
    reading = read(monkeypatch, fake_stages.whole_house())
    reading.write(out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def fail(*_arguments: Any) -> None:
        raise error

    monkeypatch.setattr("suite.reading.write_text", fail)
    with pytest.raises(StorageError if isinstance(error, OSError) else RuntimeError):
        reading.write(out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert list(tmp_path.iterdir()) == [out]


def test_a_full_disk_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reading = read(monkeypatch, fake_stages.whole_house())

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"could not be written \(No space left on device\); free space"):
        reading.write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_swap_that_fails_puts_the_old_folder_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reading = read(monkeypatch, fake_stages.whole_house())
    reading.write(out)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if target == out and self.suffix == ".tmp":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(StorageError, match="Input/output error"):
        reading.write(out)
    assert (out / "report.json").exists()
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_in_the_way_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be made or opened"):
        read(monkeypatch, fake_stages.whole_house()).write(tmp_path / "file" / "out")
