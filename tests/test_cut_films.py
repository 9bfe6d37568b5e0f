"""``benchmarks/cut_films.py``: which films it takes, cuts and counts; gate and lungs are stand-ins."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import cut_films
from suite.datasets.manifest import FilmFile, Record
from suite.grid import Grid
from suite.stages.contract import Artifact
from tests import made_datasets
from tests.made_films import chest, chest_pixels, write_16_bit


class Gate:
    """Accepts what has at least ``least`` pixels."""

    def __init__(self, least: int) -> None:
        self.least = least

    def run(self, studies: Any) -> list[dict[str, Any]]:
        sizes = [study["frontal"].value.pixels.size for study in studies]
        return [{"gate": Artifact(SimpleNamespace(accepted=size >= self.least))} for size in sizes]


class Lungs:
    """One lung that covers half of the film's left edge."""

    def run(self, studies: Any) -> list[dict[str, Any]]:
        [shape] = [study["frontal"].value.shape for study in studies]
        mask = np.zeros(shape, np.uint8)
        mask[: shape[0] // 2, 0] = 128
        return [{"lung_mask": Artifact(mask, Grid.of(shape))}]


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    return {
        "nih": made_datasets.nih(tmp_path / "nih", ["No Finding"] * 40),
        "jsrt": made_datasets.jsrt(tmp_path / "jsrt", 20),
    }


def test_sets_take_turns_and_a_film_is_cut_the_same_way_again(sources: dict[str, Path]) -> None:
    films = cut_films.chosen(sources, 5)
    assert [name for name, _ in films][:4] == ["jsrt", "nih", "jsrt", "nih"]
    assert len(films) == 5
    film = chest(120, 100)
    shown, again = (cut_films.pictures(film, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(shown["cut"], again["cut"])
    assert shown["cut"].size < 0.5 * shown["whole"].size


def test_what_the_gate_refuses_has_no_outline_and_shares_are_of_what_it_accepts(tmp_path: Path) -> None:
    paths = [write_16_bit(tmp_path / f"{seed}.png", chest_pixels(200, 160, seed)) for seed in range(6)]
    films = [("nih", Record(path.stem, path.stem, FilmFile(path))) for path in paths]
    every = list(cut_films.measured(films, Gate(0), Lungs()))
    assert [row["kind"] for row in every] == ["whole", "cut"] * 6
    assert {row["lungs"] for row in every} == {1.0}
    assert all(row["edge"] == pytest.approx(0.5, abs=0.05) for row in every)
    none = list(cut_films.measured(films, Gate(10**9), Lungs()))
    assert all(math.isnan(row["lungs"]) and math.isnan(row["edge"]) for row in none)

    whole = [row for row in every if row["kind"] == "whole"]
    cut = [{**row, "accepted": 0.0} for row in every if row["kind"] == "cut"]
    lines = cut_films.table([*whole, *cut[:-1], {**cut[-1], "accepted": 1.0, "edge": 0.12, "lungs": 2.0}])
    cells = {line.split("|")[1].strip(): line.split("|")[2:4] for line in lines.splitlines()}
    assert [cell.split()[0] for cell in cells["accepted by the gate"]] == ["1", "0.1667"]
    assert [cell.split()[0] for cell in cells["one lung or none was found"]] == ["1", "0"]
    assert cells["a lung covers more than 0.1 of a side"][1].strip().startswith("1 (1 - 1) of 1")
    assert cells["a lung covers more than 0.15 of a side"][1].strip().startswith("0 (0 - 0) of 1")
