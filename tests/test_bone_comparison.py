"""The comparison of bone networks: figures side by side, and differences film by film."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmarks import bone_comparison as comparison
from gan.recipe import BoneRecipe


def run(out: Path, name: str, gains: dict[str, float]) -> None:
    """A finished run whose films have these gains; every other figure is the same everywhere."""
    (out / name).mkdir(parents=True)
    figure = {"value": sum(gains.values()) / len(gains), "interval": [0.0, 9.0], "n": len(gains)}
    (out / name / "metrics.json").write_text(json.dumps({"psnr_gain": figure}))
    rows = [
        {"film": film, "patient": film, "dataset": dataset, "psnr_gain": gain, "ssim": 0.9,
         "edge_residual": 0.5, "heart_border_error": 0.01}
        for dataset in ("jsrt", "phantom")
        for film, gain in gains.items()
    ]  # fmt: skip
    with (out / name / "films.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_differences_are_paired_film_by_film(tmp_path: Path) -> None:
    run(tmp_path, "gan", {"a": 1.0, "b": 5.0, "c": 9.0})
    run(tmp_path, "unet-l1", {"c": 8.5, "a": 0.5, "b": 4.5})  # in another order
    text = comparison.tables(tmp_path, ["gan", "unet-l1", "pix2pix"])
    figures, differences = text.split("\n\n")
    assert figures.count("\n| ") == 2
    (row,) = (line for line in differences.splitlines() if line.startswith("| unet-l1"))
    cells = [cell.strip() for cell in row.split("|")[2:-1]]
    assert len(cells) == len(comparison.PAIRED)
    assert cells[0] == "-0.5 (-0.5 - -0.5)"  # films differ by far more than the runs do
    assert cells[1].startswith("0 ")


def test_there_are_no_differences_without_the_gan(tmp_path: Path) -> None:
    run(tmp_path, "unet-l1", {"a": 1.0})
    assert "less the GAN's" not in comparison.tables(tmp_path, ["gan", "unet-l1"])


@pytest.mark.parametrize("size", [128, 256])
def test_every_run_is_a_recipe(size: int) -> None:
    for own in comparison.RUNS.values():
        common = [*comparison.COMMON, f"size={size}", *(["depth=5"] if size == 128 else []), *own]
        BoneRecipe.from_settings(comparison._last_wins(common))


def recipe_of(name: str) -> BoneRecipe:
    return BoneRecipe.from_settings(
        comparison._last_wins(["size=256", *comparison.COMMON, *comparison.RUNS[name]])
    )


def test_every_run_differs_from_the_full_gan() -> None:
    full = recipe_of("gan")
    assert [name for name in comparison.RUNS if name != "gan" and recipe_of(name) == full] == []


def test_growing_scale_grows_and_is_the_same_network_otherwise() -> None:
    full, growing = recipe_of("gan"), recipe_of("growing-scale")
    assert full.progression.coarse_sizes == ()
    assert growing.progression.coarse_sizes == (128,)
    assert growing.depth == full.depth


def test_growing_scale_with_nothing_to_grow_from_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--jsrt", "J", "--phantom", "P", "--out", str(tmp_path), "--size", "128", "--samples", "8"]
    monkeypatch.setattr("sys.argv", ["bone_comparison.py", *words, "--runs", "gan,growing-scale"])
    with pytest.raises(SystemExit):
        comparison.main()
    assert "nothing to grow from" in capsys.readouterr().err
