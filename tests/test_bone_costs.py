"""The benchmark of costs: what it times, and what a weights file's card adds to a row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.bone import QUALITY, Cost, Subject, header, row, subjects
from gan.generator import MultiScaleGenerator
from suite.errors import WeightsError
from suite.stages.weights import save_release

COST = Cost(film=0.5, densenet=2.0, peak=1.25, parameters=5.88)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    network = MultiScaleGenerator(4, depth=5)
    figure = {"value": 6.892, "interval": [6.3, 7.4], "n": 28}
    card = {
        "title": "x",
        "input": {"size": 256, "channels": 1},
        "architecture": {"network": "mca", "base": 4, "depth": 5},
        "metrics": {"psnr_gain": figure},
    }
    return save_release(tmp_path, "bone", network, card).weights_path


def test_a_weights_file_stands_with_its_quality_beside_its_cost(weights: Path) -> None:
    (subject,) = subjects([weights], "16", "512")
    assert (subject.base, subject.size) == (4, 256)
    names, shown = cells(header(True).splitlines()[0]), cells(row(subject, COST))
    assert len(names) == len(shown)
    told = dict(zip(names, shown, strict=True))
    assert told["psnr_gain"] == "6.892 (6.3 - 7.4)"
    assert told["edge_residual"] == "-"
    assert told["ratio"] == "0.25"
    assert told["peak memory"] == "1.2 GiB"
    assert told["weights"] == f"{weights.parent.name}/bone"


def test_its_own_network_is_timed(weights: Path) -> None:
    network = Subject.of_card(weights).build()
    film = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        assert network(film).shape == film.shape
    assert sum(p.numel() for p in network.parameters()) < 1e6
    with pytest.raises(WeightsError):
        subjects([weights.with_name("other.safetensors")], "", "")


def test_without_weights_every_width_is_timed_at_every_size() -> None:
    asked = subjects([], "16,32", "512,1024")
    assert [(each.size, each.base) for each in asked] == [(512, 16), (512, 32), (1024, 16), (1024, 32)]
    assert len(cells(row(asked[0], COST))) == len(cells(header(False).splitlines()[0])) == 7
    assert not set(QUALITY) & set(cells(header(False).splitlines()[0]))
    narrow, wide = (
        sum(p.numel() for p in replace(asked[0], base=base).build().parameters()) for base in (4, 8)
    )
    assert narrow < wide
