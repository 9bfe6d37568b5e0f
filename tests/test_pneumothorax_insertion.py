"""Gas computed into real films: what changes, what stays, and the data set of pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from segmentation.pneumothorax import inserted
from segmentation.pneumothorax.cases import outline
from segmentation.pneumothorax.gate import GateTask
from segmentation.pneumothorax.inserted import Layers, main, usable
from segmentation.pneumothorax.insertion import Collapse, insert
from suite.datasets.manifest import Record
from suite.datasets.registry import open_dataset, shared_origin
from suite.errors import DatasetError
from suite.findings import CODES
from suite.training.films import load_film
from tests import made_datasets

PLAIN = Collapse(
    wall=0.4, apex=0.3, basal=False, wobble=0.0, phase=0.0, darker=0.0, denser=0.0, line=0.0, width=1.0
)
ROWS, COLUMNS = 256, 256


def field(right: bool = True) -> np.ndarray:
    """An oval lung field, by default the patient's right: left in the picture."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    centre = 80 if right else 176
    return ((x - centre) / 40) ** 2 + ((y - 128) / 90) ** 2 <= 1


def film() -> np.ndarray:
    """Fine stripes, vessels of a kind, on plain grey."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    return (0.5 + 0.1 * np.sin(x / 1.5) * np.sin(y / 1.5)).astype(np.float32)


def test_gas_lies_at_the_wall_and_the_apex() -> None:
    made = insert(film(), np.zeros((ROWS, COLUMNS), np.float32), field(), PLAIN)
    assert made is not None
    gas = made[1] == 1
    assert not (gas & ~field()).any()
    assert np.nonzero(gas)[0].min() - np.nonzero(field())[0].min() in (0, 1)  # opening takes the very tip
    wall = gas[
        100
    ]  # a row in the upper half: the gas begins at the chest wall, the lung is towards the spine
    assert wall[: np.nonzero(field()[100])[0].mean().astype(int)].any()
    assert not wall[np.nonzero(field()[100])[0].max() - 10 :].any()


def test_basal_gas_lies_at_the_base() -> None:
    bone = np.zeros((ROWS, COLUMNS), np.float32)
    heights = []
    for basal in (False, True):
        made = insert(film(), bone, field(), replace(PLAIN, wall=0.05, basal=basal))
        assert made is not None
        heights.append(np.nonzero(made[1])[0].mean())
    assert heights[0] < 90
    assert heights[1] > 166


def test_vessels_end_at_the_pleura_and_nothing_outside_the_lung_changes() -> None:
    before = film()
    made = insert(before, np.zeros_like(before), field(), PLAIN)
    assert made is not None
    after, gas = made
    inner = cv2.erode(gas, np.ones((7, 7), np.uint8)) == 1
    assert after[inner].std() < 0.2 * before[inner].std()
    outside = cv2.dilate(field().astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    np.testing.assert_array_equal(after[outside], before[outside])


def test_bones_over_the_gas_stay() -> None:
    bone = np.zeros((ROWS, COLUMNS), np.float32)
    bone[60:64] = 0.2  # a rib across the upper field
    soft = np.full_like(bone, 0.4)
    made = insert(soft + bone, bone, field(), PLAIN)
    assert made is not None
    over_rib = (made[1] == 1) & (bone > 0)
    assert over_rib.sum() > 20
    np.testing.assert_allclose(made[0][over_rib], 0.6, atol=0.01)


def test_pleura_is_brighter_and_gas_darker_in_proportion_to_the_fields_own_contrast() -> None:
    rng = np.random.default_rng(0)
    rough = (0.5 + 0.05 * rng.standard_normal((ROWS, COLUMNS))).astype(np.float32)
    none = np.zeros_like(rough)
    drawn = replace(PLAIN, darker=0.5, line=0.8)
    plain, changed = insert(rough, none, field(), PLAIN), insert(rough, none, field(), drawn)
    assert plain is not None
    assert changed is not None
    difference = changed[0] - plain[0]
    deep = cv2.erode(plain[1], np.ones((9, 9), np.uint8)) == 1
    spread = rough[field()].std()
    np.testing.assert_allclose(np.median(difference[deep]), -0.5 * spread, rtol=0.1)
    assert difference.max() > 0.4 * spread
    edge = cv2.dilate(plain[1], np.ones((5, 5), np.uint8)) == 1
    assert edge[difference > 0.2 * spread].all()


def test_a_collapse_too_small_to_see_is_none() -> None:
    faint = replace(PLAIN, wall=0.0, apex=0.0)
    assert insert(film(), np.zeros((ROWS, COLUMNS), np.float32), field(), faint) is None
    assert (
        insert(film(), np.zeros((ROWS, COLUMNS), np.float32), np.zeros((ROWS, COLUMNS), bool), PLAIN) is None
    )


class StandInLayers:
    """In place of the stages: two oval fields on every film, no bones."""

    def __init__(self, device: str = "cpu") -> None:
        pass

    def __call__(self, record: Record) -> Layers:
        pixels = cv2.resize(load_film(record.frontal), (COLUMNS, ROWS))
        lungs = np.where(field(), 128, np.where(field(right=False), 255, 0)).astype(np.uint8)
        return Layers(pixels, np.zeros_like(pixels), lungs)


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(inserted, "LayerReader", StandInLayers)
    nih = made_datasets.nih(tmp_path / "nih", ["No Finding", "Pneumothorax", "Mass", "Effusion"] * 5)
    out = tmp_path / "pairs"
    result = CliRunner().invoke(main, ["--data", f"nih={nih}", "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out


def test_every_usable_film_is_there_with_and_without_gas(pairs: Path) -> None:
    films = open_dataset("nih", pairs.parent / "nih")
    made = open_dataset("inserted-pneumothorax", pairs)
    code = CODES.index("pneumothorax")
    assert len(made) == 2 * len(usable(films))
    assert {record.patient_id for record in made} == {record.patient_id for record in usable(films)}
    assert sum(record.labels[code] for record in made) == len(usable(films))
    for record in made:
        gas = outline(record)
        assert gas.shape == load_film(record.frontal).shape
        assert bool(gas.any()) is (record.labels[code] == 1.0)
        assert set(np.unique(gas)) <= {0, 1}


def test_its_films_are_not_taken_for_others_than_those_they_were_made_from() -> None:
    assert shared_origin("inserted-pneumothorax", "nih") == "ChestX-ray14"


def test_patients_with_a_pneumothorax_are_left_to_be_measured_on(tmp_path: Path) -> None:
    films = open_dataset("nih", made_datasets.nih(tmp_path, ["No Finding", "Pneumothorax", "Mass"]))
    code = CODES.index("pneumothorax")
    ill = {record.patient_id for record in films if record.labels[code] == 1.0}
    assert ill
    assert ill.isdisjoint(record.patient_id for record in usable(films))


def test_the_same_seed_makes_the_same_films(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inserted, "LayerReader", StandInLayers)
    again = pairs.parent / "again"
    command = ["--data", f"nih={pairs.parent / 'nih'}", "--out", str(again)]
    assert CliRunner().invoke(main, command).exit_code == 0
    for path in sorted(pairs.rglob("*.*")):
        assert path.read_bytes() == (again / path.relative_to(pairs)).read_bytes()


def test_a_folder_that_holds_something_is_not_written_over(pairs: Path) -> None:
    command = ["--data", f"nih={pairs.parent / 'nih'}", "--out", str(pairs)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code != 0
    assert "is not empty; name another folder" in result.output


def test_a_table_with_another_label_is_refused(pairs: Path) -> None:
    table = pairs / "index.csv"
    table.write_text(table.read_text().replace(",1,", ",yes,", 1))
    with pytest.raises(DatasetError, match="has pneumothorax 'yes'; use 0 or 1"):
        open_dataset("inserted-pneumothorax", pairs)


def test_the_gate_is_not_measured_on_patients_it_learned_from(pairs: Path) -> None:
    data = {
        "inserted-pneumothorax": open_dataset("inserted-pneumothorax", pairs),
        "nih": open_dataset("nih", pairs.parent / "nih"),
    }
    task = GateTask(GateTask.recipe_type.checked({"size": 64}), data)
    parts = data["inserted-pneumothorax"].split(task.recipe.split_seed)
    known = {record.patient_id for name in ("train", "validation") for record in parts[name]}
    told = {record.patient_id for record in task.real_films()}
    assert known
    assert told.isdisjoint(known)
    assert {record.patient_id for record in data["nih"]} - known == told
