"""Cohorts of computed studies: reproducible, resumable, complete, and readable as a data set."""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from suite.cli import main
from suite.datasets import phantom as dataset
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError, InputError, StorageError
from suite.film import read_film
from suite.findings import CODES
from suite.phantom.cohort import (
    CohortSettings,
    draw_chest,
    parse_parts,
    parse_prevalence,
    render_chest,
    write_cohort,
    write_study,
)
from suite.phantom.encoding import (
    BONE_OFFSET,
    bone_words,
    exposure_signal,
    exposure_words,
    film_words,
    read_png,
    rib_map,
    rib_planes,
)

SETTINGS = CohortSettings(seed=7, size=64, prevalence={"fracture": 1.0, "lung_lesion": 0.5})


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cohort") / "one"
    assert write_cohort(SETTINGS, 3, out) == 3
    return out


def _files(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_two_processes_write_the_same_bytes_as_one(cohort: Path, tmp_path: Path) -> None:
    write_cohort(SETTINGS, 3, tmp_path / "two", workers=2)
    one, two = _files(cohort), _files(tmp_path / "two")
    assert list(one) == list(two)
    assert one == two
    assert sum(name.endswith("frontal.png") for name in one) == 3


def test_an_interrupted_run_continues_and_leaves_nothing_behind(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "cohort"
    shutil.copytree(cohort, out)
    shutil.rmtree(out / "phantom-7-000001")
    (out / "manifest.csv").unlink()
    (out / ".phantom-7-000001.abc.tmp").mkdir()
    (out / ".phantom-7-000001.abc.tmp" / "frontal.png").write_bytes(b"half")
    kept = (out / "phantom-7-000000" / "frontal.png").stat().st_mtime_ns
    seen: list[tuple[int, int]] = []
    assert write_cohort(SETTINGS, 3, out, on_done=lambda done, total: seen.append((done, total))) == 1
    assert seen == [(2, 3), (3, 3)]
    assert _files(out) == _files(cohort)
    assert (out / "phantom-7-000000" / "frontal.png").stat().st_mtime_ns == kept


def test_a_study_depends_on_seed_and_index_only(cohort: Path, tmp_path: Path) -> None:
    write_study(SETTINGS, 2, tmp_path)
    assert _files(tmp_path / "phantom-7-000002") == _files(cohort / "phantom-7-000002")
    other = draw_chest(replace(SETTINGS, seed=8), 2)[0]
    assert draw_chest(SETTINGS, 2)[0] not in (draw_chest(SETTINGS, 1)[0], other)


def test_prevalence_decides_what_is_drawn() -> None:
    none = CohortSettings(seed=3, prevalence=parse_prevalence(("all=0",)))
    assert not any(draw_chest(none, index)[1] for index in range(20))
    only = CohortSettings(seed=3, prevalence=parse_prevalence(("all=0", "edema=1")))
    assert all([one.code for one in draw_chest(only, index)[1]] == ["edema"] for index in range(20))
    usual = [draw_chest(CohortSettings(seed=3), index)[1] for index in range(200)]
    ill = [draw_chest(CohortSettings(seed=3, healthy=0.0), index)[1] for index in range(200)]
    assert 0.4 < sum(not findings for findings in usual) / 200 < 0.65
    assert sum(not findings for findings in ill) < sum(not findings for findings in usual)


def test_label_noise_changes_the_manifest_and_never_the_truth(tmp_path: Path) -> None:
    settings = CohortSettings(
        seed=7, size=64, lateral=False, prevalence=dict.fromkeys(CODES, 0.5), label_noise=True
    )
    write_cohort(settings, 2, tmp_path)
    differing = 0
    for record in dataset.read(tmp_path):
        truth = dataset.read_truth(record)
        noisy = [truth["noisy_labels"][code] for code in CODES]
        assert list(record.labels) == noisy
        differing += sum(truth["labels"][code] != one for code, one in zip(CODES, noisy, strict=True))
    assert differing > 0


def test_a_failed_study_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("suite.phantom.folder.write_truth", full)
    with pytest.raises(StorageError, match="No space left"):
        write_cohort(SETTINGS, 1, tmp_path / "cohort")
    assert not list((tmp_path / "cohort").glob("*phantom-*"))


def test_another_cohort_is_not_mixed_in(cohort: Path) -> None:
    before = _files(cohort)
    with pytest.raises(InputError, match="another size, lateral"):
        write_cohort(replace(SETTINGS, size=96, lateral=False), 3, cohort)
    assert _files(cohort) == before


def test_manifest_lists_paths_labels_and_measures(cohort: Path) -> None:
    with (cohort / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == ["phantom-7-000000", "phantom-7-000001", "phantom-7-000002"]
    for row in rows:
        assert all(row[code] in ("0", "1") for code in CODES)
        diseases = [code for code in CODES if code != "support_devices"]
        assert row["abnormal"] == str(int(any(row[code] == "1" for code in diseases)))
        assert row["view"] in ("PA", "AP")
        assert 0.25 < float(row["cardiothoracic_ratio"]) < 0.75
        assert 300.0 < float(row["spacing_mm"]) * int(row["columns"]) < 480.0
        for column in ("frontal", "lateral", "raw", "low", "high", "bone", "soft"):
            picture = cv2.imread(str(cohort / row[column]), cv2.IMREAD_UNCHANGED)
            assert picture.dtype == np.uint16
            assert picture.shape == (64, 64)
        for column in ("lung_mask", "lung_whole", "heart", "clavicles", "ribs", "tissue"):
            assert cv2.imread(str(cohort / row[column]), cv2.IMREAD_UNCHANGED).dtype == np.uint8


def test_truth_agrees_with_the_pictures(cohort: Path) -> None:
    for home in sorted(cohort.glob("phantom-*")):
        truth = json.loads((home / "truth.json").read_text())
        assert truth["schema"] == "radsuite.phantom/1"
        assert sorted(truth["labels"]) == sorted(CODES)
        assert truth["patient"]["technique"]["projection"] == truth["view"]
        assert all((home / name).is_file() for name in truth["files"].values())
        lungs, heart = read_png(home / "lung_mask.png"), read_png(home / "heart.png")
        assert set(np.unique(lungs)) == {0, 128, 255}
        # The patient's right (128) is on the picture's left, and the visible field excludes the heart.
        assert np.nonzero(lungs == 128)[1].mean() < np.nonzero(lungs == 255)[1].mean()
        assert not ((lungs > 0) & (heart > 0)).any()
        assert (read_png(home / "lung_whole.png") > 0).sum() > (lungs > 0).sum()
        width = np.ptp(np.nonzero(heart.any(axis=0))[0]) + 1
        thorax = np.ptp(np.nonzero(lungs.any(axis=0))[0]) + 1
        assert truth["cardiothoracic_ratio"] == pytest.approx(width / thorax)
        tissue = read_png(home / "tissue.png")
        assert ((tissue == 2) == (read_png(home / "bone_mask.png") > 0)).all()
        assert set(np.unique(tissue)) <= {0, 1, 2}


def test_stored_film_is_soft_tissue_plus_bone(cohort: Path) -> None:
    home = cohort / "phantom-7-000000"
    film, soft, bone = (read_png(home / f"{name}.png").astype(int) for name in ("frontal", "soft", "bone"))
    assert np.array_equal(film, soft + bone - BONE_OFFSET)
    read = read_film(home / "frontal.png")
    assert np.abs(read.pixels - film / 65535.0).max() < 1e-6


def test_encodings_keep_what_they_hold() -> None:
    rng = np.random.default_rng(3)
    signal = np.exp(-rng.uniform(-0.2, 9.0, (40, 40))).astype(np.float32)
    assert np.abs(exposure_signal(exposure_words(signal)) / signal - 1.0).max() < 2e-4
    film = rng.uniform(0.3, 1.0, (40, 40)).astype(np.float32)
    soft = (film - rng.uniform(-0.1, 0.3, film.shape)).astype(np.float32)
    assert np.array_equal(
        film_words(film).astype(int),
        film_words(soft).astype(int) + bone_words(film, soft).astype(int) - 16384,
    )
    assert exposure_words(np.ones((1, 1), np.float32))[0, 0] == 5000


def test_rib_map_and_planes_hold_every_rib() -> None:
    study, _ = render_chest(CohortSettings(seed=7, size=96, lateral=False), 0)
    numbers, planes = rib_map(study.masks), rib_planes(study.masks)
    assert np.array_equal(numbers > 0, study.masks["ribs"] > 0)
    crossing = 0
    for k in range(24):
        side, number = ("right", "left")[k // 12], k % 12 + 1
        mask = study.masks[f"rib_{side}_{number:02d}"] > 0
        assert np.array_equal((planes[..., k // 8] >> (k % 8)) & 1 == 1, mask)
        crossing += int((mask & (numbers != k + 1)).sum())
    assert crossing > 0


def test_the_data_set_reader_finds_every_target(cohort: Path) -> None:
    manifest = open_dataset("phantom", cohort)
    assert len(manifest) == 3
    for record in manifest:
        assert record.lateral is not None
        assert record.lateral.path.is_file()
        assert all(path.is_file() for path in record.targets.values())
        assert record.labels[CODES.index("fracture")] == 1.0
        assert (read_png(record.targets["finding_fracture"]) > 0).any()
        expected = {"bone", "soft", "lung_mask", "lung_whole", "heart", "ribs", "tissue", "truth"}
        assert expected <= set(record.targets)
        assert dataset.read_truth(record)["id"] == record.id
        planes = dataset.lung_planes(record)
        assert planes.shape == (64, 64, 2)
        assert (planes <= dataset.lung_planes(record, whole=True)).mean() > 0.995
        film, soft = read_film(record.frontal.path).pixels, read_film(record.targets["soft"]).pixels
        assert np.abs(film - dataset.bone_layer(record) - soft).max() < 1e-4
    parts = manifest.split(seed=1).parts
    assert sum(len(part) for part in parts.values()) == 3


@pytest.mark.parametrize(
    ("text", "message"), [("id,part\n1,chest\n", "column frontal"), (None, "manifest.csv")]
)
def test_a_folder_of_another_layout_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        dataset.read(tmp_path)


def test_options_are_parsed() -> None:
    assert parse_parts("chest, limbs,hand")[:3] == ("chest", "hand", "wrist")
    assert "chest" not in parse_parts("limbs")
    assert len(parse_parts("limbs")) >= 7
    shares = parse_prevalence(("fracture=0.3", "all=0"))
    assert shares["fracture"] == 0.3
    assert sum(shares.values()) == 0.3
    assert len(shares) == 13


@pytest.mark.parametrize(
    "options",
    [
        ("--n", "0"),
        ("--n", "2", "--size", "20"),
        ("--n", "2", "--size", "9000"),
        ("--n", "2", "--seed", "-1"),
        ("--n", "2", "--parts", "tail"),
        ("--n", "2", "--parts", ""),
        ("--n", "2", "--prevalence", "fracture"),
        ("--n", "2", "--prevalence", "fracture=2"),
        ("--n", "2", "--prevalence", "fracture=nan"),
        ("--n", "2", "--prevalence", "gout=0.1"),
        ("--n", "2", "--healthy", "1.5"),
        ("--n", "2", "--workers", "0"),
    ],
)
def test_bad_arguments_are_one_sentence_and_exit_2(tmp_path: Path, options: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, ["phantom", "--out", str(tmp_path / "out"), *options])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.rstrip().endswith(".")
    assert not (tmp_path / "out" / "manifest.csv").exists()


def test_the_command_makes_a_cohort_and_says_where(tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--n", "1", "--seed", "7", "--size", "64", "--no-lateral", "--workers", "1"]
    result = CliRunner().invoke(main, ["phantom", "--out", str(out), *options])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"1 study in {out}")
    record = dataset.read(out).records[0]
    assert record.lateral is None
    assert not math.isnan(record.abnormal)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    out = str(tmp_path / "file" / "out")
    result = CliRunner().invoke(main, ["phantom", "--n", "1", "--size", "64", "--out", out])
    assert result.exit_code == 1
    assert out in result.stderr


def test_two_runs_do_not_write_into_one_folder(cohort: Path) -> None:
    from suite.phantom import cohort as module

    with module._only_run(cohort), pytest.raises(StorageError, match="another run"):
        write_cohort(SETTINGS, 3, cohort)


def test_studies_rendered_on_the_fly_are_those_on_disk(cohort: Path) -> None:
    torch = pytest.importorskip("torch")
    from suite.training.phantoms import PhantomSet

    names = ("lung_right", "lung_left", "finding_fracture")
    films = PhantomSet(SETTINGS, 2, first=1, masks=names, layers=True)
    item = films[0]
    stored = read_png(cohort / "phantom-7-000001" / "frontal.png").astype(np.float32) / 65535
    assert np.abs(item["film"].numpy()[0] - stored).max() < 1e-5
    lungs = read_png(cohort / "phantom-7-000001" / "lung_mask.png")
    assert np.array_equal(item["mask"][0].numpy() > 0, lungs == 128)
    assert np.array_equal(item["mask"][1].numpy() > 0, lungs == 255)
    broken = read_png(cohort / "phantom-7-000001" / "finding_fracture.png")
    assert np.array_equal(item["mask"][2].numpy() > 0, broken > 0)
    assert torch.allclose(item["film"], item["bone"] + item["soft"], atol=1e-6)
    assert item["labels"].shape == (13,)
    assert len(films) == 2
    with pytest.raises(IndexError):
        films[2]
