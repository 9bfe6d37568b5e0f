"""``benchmarks/segmentation.py``: every installed stage is measured, with what it needs, beside its rival."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import segmentation as benchmark
from suite.stages.weights import shipped_card
from tests.made_films import chest_pixels, write_16_bit

RIVALS = {"lungs": "vgg16_bn", "whole-lungs": "vgg16_bn", "pneumothorax": "resnet18"}


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_16_bit(tmp_path / "film.png", chest_pixels(96, 80))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def here(call: Callable[..., Any], *args: Any) -> Any:
    """In this process, as loading the packages anew for every line takes longer than the lines."""
    return call(*args)


@pytest.mark.parametrize("name", benchmark.segmentation_stages())
def test_every_installed_stage_has_its_lines(name: str, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "alone", here)
    table = [cells(line) for line in benchmark.rows(name, film, 1, 1)]
    assert all(len(line) == len(cells(benchmark.HEADER.splitlines()[0])) for line in table)
    lines = {line[1]: line for line in table}
    rival = [f"smp U-Net {RIVALS[name]}"] if name in RIVALS else []
    several = {"pneumothorax": ["4 passes"], "tissues": []}.get(name, ["9 ways"])
    assert list(lines) == ["stage", *several, "one pass", *rival]
    card = shipped_card("segmentation", benchmark.CARDS.get(name, name))
    size = int(card.content["input"]["size"])
    assert lines["one pass"][2] == f"{size}x{size}"
    assert lines["one pass"][4] == "1.00"
    assert int(lines["one pass"][6].replace(",", "")) == card.content["parameters"]
    for line in rival:
        assert lines[line][2] == lines["one pass"][2]
    assert all(float(line[3]) > 0 for line in table)


def test_a_stage_that_builds_on_another_is_measured_in_a_process_of_its_own(film: Path) -> None:
    made = benchmark.made_for("whole-lungs", film)
    assert set(made) == {"lung_mask"}
    cost = benchmark.alone(benchmark.stage_cost, "whole-lungs", film, made, 1, 1)
    assert cost.ms > 0
    assert cost.peak > 10  # its weights alone are 3 MiB, the maps of a pass many times that


def test_the_encoder_of_the_rival_is_the_one_on_the_card() -> None:
    found = {name: benchmark.library_encoder(name) for name in benchmark.segmentation_stages()}
    assert found == {name: RIVALS.get(name) for name in found}
    assert shipped_card("segmentation", "pneumothorax-mask").architecture["encoder"] == found["pneumothorax"]
