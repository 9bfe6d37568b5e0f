"""Calibrators of somebody else: a broken one is one sentence, the others go on, and the exit status tells."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from suite.calibration import calibrators as plugged
from suite.cli import main
from suite.stages.artifacts import Measured
from suite.stages.plugins import installed
from tests import fake_stages, untrained_weights
from tests.made_datasets import write_rows
from tests.made_films import chest_pixels, write_16_bit

CALIBRATORS = """
from dataclasses import replace
from pathlib import Path

from classifiers.recalibration import TriageRecalibrator
from suite.calibration.contract import Recalibration
from suite.errors import WeightsError

class Sound(TriageRecalibrator):
    stage = "foreign"

class Unbuildable(Sound):
    def __init__(self, plan):
        raise RuntimeError("libfoo.so.3 is not there")

class Leaving(Sound):
    def recalibrate(self, films):
        raise SystemExit(3)

class Raising(Sound):
    def recalibrate(self, films):
        raise ZeroDivisionError("division by\\nzero")

class Weightless(Sound):
    def recalibrate(self, films):
        raise WeightsError("foo.bin: is not there; fetch it.")

class Silent(Sound):
    def recalibrate(self, films):
        return None

class Cardless(Sound):
    def recalibrate(self, films):
        return replace(super().recalibrate(films), card={"name": "foreign"})

class Binary(Sound):
    def recalibrate(self, films):
        card = super().recalibrate(films).card
        return Recalibration({**card, "extra": Path("x")}, (), None)

class Headless(Sound):
    def recalibrate(self, films):
        return replace(super().recalibrate(films), heads=["abnormal"])

class Undrawn(Sound):
    def recalibrate(self, films):
        def draw(path):
            raise OSError("no display")
        return replace(super().recalibrate(films), draw=draw)

class Stranger(Sound):
    stage = "bone"

class Bare:
    stage = "foreign"

    def __init__(self, plan):
        pass
"""


def stage(name: str = "foreign") -> type:
    blackening = {"blackening": Measured({"od": 1.0})}
    return fake_stages.fake(name, "frontal", "blackening", lambda _study: blackening)


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package `foreign_calibrators` with its stage, beside triage; cards of untrained networks."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "foreign_calibrators.py").write_text(CALIBRATORS)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "foreign_calibrators", raising=False)
    card = untrained_weights.card("triage", tmp_path / "cards")
    monkeypatch.setattr("classifiers.recalibration.shipped_card", lambda _package, _name: card)
    fake_stages.install(monkeypatch, [fake_stages.gate(), fake_stages.triage(), stage()])


@pytest.fixture
def films(tmp_path: Path) -> Path:
    rows = []
    for number in range(12):
        write_16_bit(tmp_path / f"{number}.png", chest_pixels(40, 40, number))
        rows.append([f"{number}.png", f"p{number}", str(number % 2)])
    return write_rows(tmp_path / "films.csv", ["file", "patient_id", "abnormal"], rows)


def offer(monkeypatch: pytest.MonkeyPatch, name: str, *, alone: bool = False) -> None:
    """Install the class ``name`` as the calibrator of the stage `foreign`."""
    point = EntryPoint("foreign", f"foreign_calibrators:{name}", plugged.CALIBRATORS)
    found = {} if alone else {"triage": installed(plugged.CALIBRATORS)["triage"]}
    monkeypatch.setattr(
        plugged,
        "installed",
        lambda group: {"foreign": point, **found} if group == plugged.CALIBRATORS else installed(group),
    )


def calibrate(films: Path, out: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["calibrate", "--films", str(films), "--out", str(out), *options])


@pytest.mark.usefixtures("plug_in")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Absent", "plug-in foreign (foreign_calibrators:Absent) does not load"),
        ("Unbuildable", "its calibrator failed (RuntimeError: libfoo.so.3 is not there); mend or uninstall"),
        ("Leaving", "its calibrator failed (SystemExit: 3)"),
        ("Raising", "its calibrator failed (ZeroDivisionError: division by zero)"),
        ("Weightless", "stage foreign was not calibrated: foo.bin: is not there; fetch it."),
        ("Silent", "its calibrator made no Recalibration (a NoneType)"),
        ("Cardless", "its calibrator made no recalibrated model card (it has no entry `recalibration`)"),
        ("Binary", "its calibrator failed (TypeError: Object of type PosixPath is not JSON serializable)"),
        ("Headless", "its calibrator made no report of its heads (each is to be a HeadReport)"),
        ("Undrawn", "its calibrator failed (OSError: no display)"),
        ("Stranger", "its calibrator is another stage's (its `stage` is 'bone')"),
        ("Bare", "its calibrator has no model card (its `card` is no ModelCard)"),
    ],
)
def test_a_broken_one_is_one_sentence_and_the_others_go_on(
    name: str, words: str, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, name)
    result = calibrate(films, tmp_path / "out")
    assert result.exit_code == 1, result.output
    (told,) = result.stderr.strip().splitlines()
    assert words in told
    assert "foreign" in told
    assert (tmp_path / "out/triage.json").is_file()
    assert not (tmp_path / "out/foreign.json").exists()
    assert list(json.loads((tmp_path / "out/calibration.json").read_text())) == ["triage"]
    assert words in (tmp_path / "out/calibration.md").read_text()


@pytest.mark.usefixtures("plug_in")
def test_a_stage_that_is_not_there_is_told_of_too(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, "Sound")
    fake_stages.install(monkeypatch, [fake_stages.gate(), fake_stages.triage()])
    result = calibrate(films, tmp_path / "out")
    assert (result.exit_code, result.stderr.count("stage 'foreign' is not installed")) == (1, 1)
    assert (tmp_path / "out/triage.json").is_file()


@pytest.mark.usefixtures("plug_in")
def test_what_is_left_is_put_in_force(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "Raising")
    monkeypatch.setenv("RADSUITE_DATA", str(tmp_path / "data"))
    assert calibrate(films, tmp_path / "out", "--apply").exit_code == 1
    assert [path.name for path in (tmp_path / "data/calibration").iterdir()] == ["triage.json"]


@pytest.mark.usefixtures("plug_in")
@pytest.mark.parametrize("name", ["Unbuildable", "Raising"])
def test_where_it_is_the_only_one_nothing_is_left(
    name: str, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, name)
    result = calibrate(films, tmp_path / "out", "--stage", "foreign")
    assert (result.exit_code, result.stderr.count("stage foreign was not calibrated")) == (1, 1)
    assert not (tmp_path / "out/calibration.json").exists()


@pytest.mark.usefixtures("plug_in")
def test_a_sound_one_is_calibrated_beside_the_others(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, "Sound")
    result = calibrate(films, tmp_path / "out")
    assert (result.exit_code, result.stderr) == (0, "")
    assert {"triage.json", "foreign.json"} <= {path.name for path in (tmp_path / "out").iterdir()}
