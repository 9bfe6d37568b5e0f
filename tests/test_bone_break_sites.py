"""The benchmark that asks at a known place whether a rib is broken."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import bone_break_sites as sites
from benchmarks.breaks import chests, square_detector, squares
from suite.phantom.patient import Patient
from suite.training.bank import FULL_SCALE


@pytest.mark.parametrize("manner", chests.MANNERS)
def test_breaks_are_of_one_manner_and_of_different_bones(manner: str) -> None:
    rng = np.random.default_rng(3)
    breaks = chests.fracture_of(rng, Patient.draw(np.random.default_rng(1)), manner).breaks
    assert len({one.bone for one in breaks}) == len(breaks) == chests.BROKEN_BONES
    assert all((one.callus > 0) == (manner == "healing") for one in breaks)
    assert all((one.step_mm < 2.0) == (manner == "undisplaced") for one in breaks)


def test_places_lie_where_the_layer_changed_most() -> None:
    change = np.zeros((128, 128), np.float32)
    change[40:44, 50:54] = 1.0
    change[46:48, 62:64] = 0.5  # nearer to the first than APART_MM
    change[100:104, 20:24] = 0.3
    change[20, 110] = 1e-3
    found = {(int(row), int(column)) for row, column in chests.find_places(change, 1.0)}
    assert len(found) == 2
    assert all(any(abs(r - a) < 3 and abs(c - b) < 3 for a, b in ((41, 51), (101, 21))) for r, c in found)


def noise(count: int = 48) -> squares.Squares:
    """Noise in every plane; in the true one a bright step where the place is broken."""
    planes = torch.randn(count, 2, len(squares.PLANES), squares.SQUARE, squares.SQUARE) * 0.05 + 0.4
    planes[:, 0, squares.PLANES.index("true"), 44:52, 30:66] += 0.4
    return squares.Squares((planes.clamp(0, 1) * FULL_SCALE).to(torch.int16), np.arange(count) % 12)


def test_a_detector_sees_what_its_kind_of_image_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(square_detector, "EPOCHS", 12)
    torch.manual_seed(0)
    train, test = noise(), noise()
    areas = {}
    for kind in ("film", "true layer"):
        areas[kind] = sites.placed(sites.scores(sites.learn(train, kind, 0), test, kind), test.patients).auc
    assert areas["true layer"] > 0.95
    assert 0.25 < areas["film"] < 0.75


def test_the_table_pairs_kinds_with_the_film() -> None:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(12), 4)
    blind, seeing = (rng.normal((shift, 0.0), size=(48, 2)) for shift in (0.0, 3.0))
    text = sites.table({"film": [blind, blind], "true layer": [seeing, seeing]}, patients)
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in text.splitlines()[2:4]}
    assert rows["film"][2].strip() == "-"
    gain = float(rows["true layer"][2].split("(")[0])
    area = [float(rows[kind][1].split("(")[0]) for kind in ("true layer", "film")]
    assert gain == pytest.approx(area[0] - area[1], abs=2e-3)
    assert gain > 0.3
    assert "12 patients: 48 all, 16 displaced, 16 undisplaced, 16 healing" in text


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The whole command on chests of noise, with a bone network that says half of what it sees."""

    def written(patients: int, seed: int, folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        paths = []
        for index in range(patients):
            stored = {
                f"{plane}_{state}": rng.integers(0, FULL_SCALE, (squares.SIZE, squares.SIZE), np.int16)
                for plane in squares.PLANES[:3]
                for state in ("broken", "whole")
            }
            paths.append(folder / f"{index}.npz")
            np.savez(paths[-1], places=np.array([[3, 3], [60, 90]]), **stored)
        return paths

    def layers(_: Path) -> object:
        layer = torch.full((2, 2, squares.SIZE, squares.SIZE), FULL_SCALE // 2, dtype=torch.int16)

        class Halves(SimpleNamespace):
            def __call__(self, films: torch.Tensor) -> torch.Tensor:
                assert films.shape == (2, squares.SIZE, squares.SIZE)
                return layer

        return Halves(sha256="abc")

    monkeypatch.setattr(squares, "SIZE", 128)
    monkeypatch.setattr(square_detector, "EPOCHS", 1)
    monkeypatch.setattr(sites, "compute_all", written)
    monkeypatch.setattr(sites, "Layers", layers)
    return tmp_path / "out"


def command(monkeypatch: pytest.MonkeyPatch, out: Path, *more: str) -> None:
    arguments = ["--weights", "bone.safetensors", "--out", str(out), "--patients", "12", *more]
    monkeypatch.setattr(sys, "argv", ["bone_break_sites.py", *arguments])
    sites.main()


def test_finished_detectors_are_not_trained_again(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, small, "--kinds", "film,film + network's layer", "--seeds", "1")
    assert "16 places to learn from, 8 to be tested on" in capsys.readouterr().out
    kept = (small / "sites.md").read_text()
    assert "| film + network's layer | 1 |" in kept
    monkeypatch.setattr(sites, "learn", lambda *_: pytest.fail("a detector was trained"))
    command(monkeypatch, small, "--kinds", "film,film + network's layer", "--seeds", "1")
    assert (small / "sites.md").read_text() == kept


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--kinds", "film,photograph"), "--kinds names 'photograph'"),
        (("--patients", "3"), "give --patients 6 or more"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    small: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SystemExit, match=said):
        command(monkeypatch, small, *more)


def test_a_folder_keeps_one_measurement(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, small, "--kinds", "film", "--seeds", "1")
    with pytest.raises(SystemExit, match="of other settings"):
        command(monkeypatch, small, "--kinds", "film", "--seeds", "1", "--seed", "6")
