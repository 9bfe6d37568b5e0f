"""``benchmarks/organs.py``: what it trains, keeps and prints, on films of a few pixels."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import organs
from suite.errors import InputError
from suite.stages.weights import read_card
from suite.training.evaluation import Figure
from tests import made_datasets

SMALL = ("size=32", "width=0.0625", "films_per_epoch=4", "batch_size=2")


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *options: str, epochs: int = 1) -> None:
    data = out.parent / "jsrt"
    if not data.exists():
        made_datasets.jsrt(data, 12)
    command = ["organs.py", "--data", f"jsrt={data}", "--out", str(out), "--epochs", str(epochs)]
    small = [part for setting in SMALL for part in ("--set", setting)]
    monkeypatch.setattr(sys, "argv", [*command, "--device", "cpu", *small, *options])
    organs.main()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_three_networks_in_one_table_and_a_finished_run_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    run(monkeypatch, out, "--networks", "report")
    weights = out / "report" / "organs.safetensors"
    first = weights.stat().st_mtime_ns
    capsys.readouterr()
    run(monkeypatch, out)
    assert weights.stat().st_mtime_ns == first

    printed = capsys.readouterr().out
    assert (out / "table.md").read_text() in printed
    rows = {cells(line)[0]: cells(line) for line in printed.splitlines() if line.startswith("|")}
    lines = [cells(line) for line in printed.splitlines() if line.startswith("|")]
    assert [line[0] for line in lines if line[0] not in ("---", "network", "unet minus")] == [
        "report", "novikov", "unet", "report", "novikov",
    ]  # fmt: skip
    assert rows["network"][1:] == [*organs.COLUMNS, "parameters", "forward ms"]
    for name in ("report", "novikov", "unet"):
        row = next(line for line in lines if line[0] == name)
        card = read_card(out / name / "organs.json")
        assert row[5] == f"{card.content['parameters']:,}"
        assert float(row[6]) > 0
        heart = Figure.from_json(card.content["metrics"]["jaccard_heart"]).value
        assert float(row[2].split()[0]) == pytest.approx(heart, abs=1e-3)


def test_a_finished_run_with_other_settings_is_not_taken_for_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, tmp_path / "runs", "--networks", "report")
    with pytest.raises(SystemExit, match="holds a run with epochs=1, not 2"):
        run(monkeypatch, tmp_path / "runs", "--networks", "report", epochs=2)


def test_a_run_of_other_films_is_not_taken_for_this_one_finished_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "runs"
    run(monkeypatch, out, "--networks", "report")
    kept = (out / "report" / "data.json").read_bytes()
    shutil.rmtree(tmp_path / "jsrt")
    made_datasets.jsrt(tmp_path / "jsrt", 14)
    for _ in ("finished", "interrupted"):
        with pytest.raises(SystemExit, match="holds a run of other films"):
            run(monkeypatch, out, "--networks", "report")
        (out / "report" / "organs.json").unlink(missing_ok=True)
    assert (out / "report" / "data.json").read_bytes() == kept
    (out / "report" / "data.json").unlink()
    with pytest.raises(SystemExit, match=r"no data\.json to say which films"):
        run(monkeypatch, out, "--networks", "report")


def test_data_without_jsrt_and_settings_that_would_tell_runs_apart_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="--set network is not for this comparison"):
        run(monkeypatch, tmp_path / "runs", "--set", "network=report")
    with pytest.raises(SystemExit, match="'widht' is unknown"):
        run(monkeypatch, tmp_path / "runs", "--set", "widht=1")
    monkeypatch.setattr(sys, "argv", ["organs.py", "--data", "phantom=x", "--out", str(tmp_path / "runs")])
    with pytest.raises(SystemExit, match="measured on JSRT films"):
        organs.main()
    assert not (tmp_path / "runs").exists()


def film(heart: float, ratio: str, patient: str) -> dict[str, str]:
    row = {"patient": patient, "ratio": ratio, "true_ratio": "0.5"}
    return row | {name: str(heart) for name in organs.OVERLAPS}


def test_differences_are_of_the_same_film_whatever_the_order_of_rows() -> None:
    first = {"a": film(0.9, "0.48", "p"), "b": film(0.5, "0.55", "q"), "c": film(0.7, "nan", "r")}
    second = {"c": film(0.6, "0.6", "r"), "b": film(0.4, "0.60", "q"), "a": film(0.7, "0.50", "p")}
    found = organs.differences(first, second)
    heart = found["jaccard_heart"]
    assert heart.value == pytest.approx((0.2 + 0.1 + 0.1) / 3)
    assert (heart.low, heart.high) == pytest.approx((0.1, 0.2))  # no draw lies beyond the films themselves
    # absolute errors 0.02 and 0.05 against 0 and 0.10; the film without a ratio is left out
    assert found["ratio_error"].value == pytest.approx((0.02 - 0.05) / 2)
    assert found["ratio_error"].n == 2
    with pytest.raises(InputError, match="different films"):
        organs.differences(first, {"a": second["a"]})


def test_films_of_one_patient_are_drawn_together() -> None:
    alone = organs.means({str(n): film(n % 2, "0.5", str(n)) for n in range(40)})["jaccard_heart"]
    pairs = organs.means({str(n): film(n // 2 % 2, "0.5", str(n // 4)) for n in range(40)})["jaccard_heart"]
    whole = organs.means({str(n): film(n // 20, "0.5", str(n // 20)) for n in range(40)})["jaccard_heart"]
    assert alone.value == pairs.value == whole.value == 0.5
    assert (whole.low, whole.high) == (0.0, 1.0)
    assert np.isclose(pairs.low, pairs.high)  # every patient has the same mean
    assert 0.3 < alone.low < alone.high < 0.7
