"""Films that a data set stores with white and black exchanged: read as their positive twins everywhere."""

from __future__ import annotations

import ast
import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from classifiers.ablation.films import films_key
from classifiers.ablation.plan import VARIANTS
from classifiers.ablation.runs import Plan
from classifiers.diagnosis.films import FilmSettings, StudyFilms
from classifiers.gate.samples import read_films
from classifiers.triage.training import TriageRecipe, TriageTask
from gan.pairs import kept_pair
from segmentation.films import framed_planes
from segmentation.lungs.evaluation import Reader, _overlay
from segmentation.lungs.truth import film_bank
from suite.analysis import Analyzer
from suite.calibration.scoring import score_films
from suite.datasets.digests import data_digest
from suite.datasets.manifest import FilmFile, Manifest, Record
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError
from suite.film import read_film
from suite.training.films import film_on_scale, load_film, open_film
from tests import fake_stages, made_datasets, made_finding_sets
from tests.dicom_zoo import make_dataset, save, scattered
from tests.made_datasets import write_rows
from tests.made_films import chest_pixels, write_16_bit, write_png

NEGATIVES = ("p1_s1_b.png", "p3_s3_a.png")
"""A lateral and a frontal film."""

SIDE = 64


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Manifest]:
    """PadChest with all films as positives, and with two of them as the detector gave them."""
    folders = [tmp_path_factory.mktemp(name) for name in ("positive", "mixed")]
    made_finding_sets.padchest(folders[0])
    made_finding_sets.padchest(folders[1], NEGATIVES)
    positive, mixed = (open_dataset("padchest", folder) for folder in folders)
    return positive, mixed


def test_the_table_tells_which_films_are_negatives(twins: tuple[Manifest, Manifest]) -> None:
    told = [[record.frontal.inverted for record in manifest] for manifest in twins]
    assert told == [[False] * 4, [False, False, True, False]]
    lateral = twins[1].records[0].lateral
    assert lateral is not None
    assert lateral.inverted
    stored = [np.asarray(Image.open(manifest.records[2].frontal.path)) for manifest in twins]
    assert (stored[0].astype(int) + stored[1] == 65535).all()  # the files do differ


def test_a_table_that_does_not_tell_is_refused(tmp_path: Path) -> None:
    folder = made_finding_sets.padchest(tmp_path)
    table = next(folder.glob("*.csv"))
    table.write_text(table.read_text().replace("PhotometricInterpretation_DICOM", "Photometric"))
    with pytest.raises(DatasetError, match="column PhotometricInterpretation_DICOM is missing"):
        open_dataset("padchest", folder)


# what is read


def test_a_negative_is_read_as_its_positive_twin(twins: tuple[Manifest, Manifest]) -> None:
    for positive, mixed in zip(*twins, strict=True):
        one, other = open_film(positive.frontal), open_film(mixed.frontal)
        np.testing.assert_array_equal(other.pixels, one.pixels)
        assert (other.grey_scale, other.warnings) == (one.grey_scale, one.warnings)
        added = [step for step in other.preprocessing if step not in one.preprocessing]
        assert added == (
            ["Inverted, because the data set says that white and black are exchanged in the file."]
            if mixed.frontal.inverted
            else []
        )


@pytest.mark.parametrize("white", [4095, 255])
def test_a_negative_of_fewer_bits_is_turned_within_its_own_scale(white: int, tmp_path: Path) -> None:
    stored = np.rint(chest_pixels(60, 50) * white).astype(np.uint16 if white > 255 else np.uint8)
    one = load_film(FilmFile(write_png(tmp_path / "positive.png", stored)))
    other = load_film(FilmFile(write_png(tmp_path / "negative.png", white - stored), True))
    np.testing.assert_array_equal(other, one)


def test_a_dicom_film_follows_its_header_first(tmp_path: Path) -> None:
    """A site may still know that a header lies."""
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        dataset = make_dataset(scattered(0, 4095), PhotometricInterpretation=photometric)
        path = save(dataset, tmp_path / f"{photometric}.dcm")
        np.testing.assert_array_equal(load_film(FilmFile(path, True)), 1.0 - read_film(path).pixels)


def test_a_raw_film_is_turned_too(tmp_path: Path) -> None:
    words = np.zeros((2048, 2048), ">u2")
    words[:, 1024:] = 4095
    (tmp_path / "a.IMG").write_bytes(words.tobytes())
    film = load_film(FilmFile(tmp_path / "a.IMG", True))
    assert (film[0, 0], film[0, -1]) == (0.0, 1.0)


def lungs(record: Record) -> np.ndarray:
    return fake_stages.lungs_of(load_film(record.frontal).shape)


def triage(records: tuple[Record, ...]) -> Any:
    task = TriageTask(TriageRecipe(size=SIDE), {"padchest": Manifest("padchest", records)})
    task.build()
    return task._bank(records, torch.device("cpu")).stored["film"]


def diagnosis(records: tuple[Record, ...]) -> Any:
    stored = StudyFilms.decode(records, FilmSettings(SIDE), "cpu").bank.stored
    return torch.cat([stored[name] for name in ("film", "lungs", "bone_gan", "lateral")])


def calibration(records: tuple[Record, ...]) -> Any:
    return score_films(records, Analyzer(device="cpu")).films.scores["edema"]


def gallery(records: tuple[Record, ...]) -> Any:
    """The film under the outlines of the lungs' gallery; what is outlined does not matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segmentation.lungs.evaluation.has_sides", lambda _record: False)
        patch.setattr("segmentation.lungs.evaluation._union", lungs)
        patch.setattr("segmentation.lungs.evaluation.read_lungs", lambda _model, film, *_: _Seen(film))
        reader = Reader(torch.nn.Conv2d(1, 1, 1), SIDE)
        overlays = [_overlay(reader, record) for record in records]
    return np.stack([np.stack((each.film, each.predicted)) for each in overlays])


class _Seen:
    """An outline that is the film itself, to see what a network was shown."""

    def __init__(self, film: np.ndarray) -> None:
        self.visible = film


READERS: dict[str, Callable[[tuple[Record, ...]], Any]] = {
    "triage": triage,
    "diagnosis": diagnosis,
    "gate": lambda records: np.stack(read_films(record.frontal for record in records)),
    "outlines": lambda records: np.stack([framed_planes(each, SIDE, lungs)["film"] for each in records]),
    "unlabelled films": lambda records: film_bank(records, SIDE).stored["film"],
    "calibration": calibration,
    "gallery": gallery,
}


@pytest.mark.parametrize("name", READERS)
def test_networks_are_taught_measured_and_shown_the_positive(
    name: str, twins: tuple[Manifest, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_stages.install(
        monkeypatch, [fake_stages.gate(), fake_stages.lungs(), fake_stages.bone(), _telling()]
    )
    made = {"lungs": fake_stages.lungs(), "bone": fake_stages.bone()}
    monkeypatch.setattr("classifiers.diagnosis.films.load_stage", made.__getitem__)
    one, other = (np.asarray(READERS[name](manifest.records)) for manifest in twins)
    np.testing.assert_array_equal(other, one)
    as_stored = tuple(
        replace(
            record,
            frontal=FilmFile(record.frontal.path),
            lateral=record.lateral and FilmFile(record.lateral.path),
        )
        for record in twins[1]
    )
    assert not np.array_equal(np.asarray(READERS[name](as_stored)), one)


def _telling() -> type:
    """A diagnosis whose scores are what it was shown."""
    from suite.findings import CODES
    from suite.stages.artifacts import FindingResult

    def findings(study: Any) -> tuple[FindingResult, ...]:
        films = [study[view].value.pixels for view in ("frontal", "lateral") if view in study]
        score = float(sum(film[:, :10].mean() + 2 * film[:9].mean() for film in films))
        return tuple(FindingResult(code, "uncertain", score) for code in CODES)

    return fake_stages.diagnosis(findings)


def test_the_generators_scale_is_turned_about_its_own_white(tmp_path: Path) -> None:
    stored = np.rint(chest_pixels(60, 50) * 3000).astype(np.uint16)
    one = film_on_scale(FilmFile(write_png(tmp_path / "positive.png", stored)), 4095)
    other = film_on_scale(FilmFile(write_png(tmp_path / "negative.png", 4095 - stored), True), 4095)
    assert float(one.max()) < 0.74
    np.testing.assert_allclose(other, one, atol=1e-6)
    with pytest.raises(DatasetError, match=r"none.png \(inverted\): is missing or no grey picture"):
        film_on_scale(FilmFile(tmp_path / "none.png", True), 4095)


def test_no_module_takes_a_films_path_past_its_polarity() -> None:
    """Paths of films are for the data sets' own checks, and for the two functions that read."""
    allowed = {
        "suite/training/films.py",
        "gan/breaks.py",  # asks for the study's folder
        "classifiers/learned_sets.py",  # asks whether two sets share a file
    }
    found = set()
    root = Path(__file__).parents[1]
    for package in ("suite", "classifiers", "segmentation", "gan", "web", "benchmarks"):
        for path in (root / package).rglob("*.py"):
            place = path.relative_to(root).as_posix()
            if place.startswith("suite/datasets/") or place in allowed:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and node.attr == "path":
                    owner = node.value
                    if isinstance(owner, ast.Attribute) and owner.attr in ("frontal", "lateral"):
                        found.add(place)
    assert found == set()


# what is kept


def both_ways(path: Path) -> tuple[Record, Record]:
    """One file, in one set a positive and in another a negative."""
    return Record("a", "a", FilmFile(path)), Record("b", "b", FilmFile(path, inverted=True))


def test_kept_films_of_one_file_are_told_apart_by_polarity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = both_ways(write_16_bit(tmp_path / "film.png", chest_pixels(60, 50)))
    monkeypatch.setattr("classifiers.diagnosis.films.load_stage", {"lungs": fake_stages.lungs()}.__getitem__)
    films = StudyFilms.decode(records, FilmSettings(SIDE, ()), "cpu")
    films.save(tmp_path / "films.safetensors", "key")
    films = StudyFilms.load(tmp_path / "films.safetensors", "key", "cpu")
    rows = films.rows_of(records)
    planes = films.batch(torch.tensor(rows), "")["film"]
    assert rows == [0, 1]
    assert not torch.equal(planes[0], planes[1])

    task = TriageTask(TriageRecipe(size=SIDE), {"site": Manifest("site", records)})
    task.build()
    banks = [task._bank([record], torch.device("cpu")).stored["film"] for record in records]
    assert not torch.equal(*banks)


def test_kept_pairs_of_the_generator_are_told_apart_by_polarity(tmp_path: Path) -> None:
    first = made_datasets.jsrt(tmp_path, count=1)
    record = open_dataset("jsrt", first).records[0]
    turned = replace(record, frontal=replace(record.frontal, inverted=True))
    np.testing.assert_allclose(kept_pair(turned).film, 1.0 - kept_pair(record).film, atol=1e-6)


def test_an_ablation_on_films_of_another_polarity_is_another_one(tmp_path: Path) -> None:
    """The same files under the same names; only what the table says of them has changed."""
    folder = made_finding_sets.padchest(tmp_path / "films", NEGATIVES)
    plan = Plan({"padchest": folder}, {"size": str(SIDE)}, tmp_path, "cpu", tmp_path)
    single = [variant for variant in VARIANTS if variant.name == "single"]

    def identity() -> tuple[str, str]:
        return films_key(plan, single), data_digest(open_dataset("padchest", folder))

    before = identity()
    table = next(folder.glob("*.csv"))
    table.write_text(table.read_text().replace("MONOCHROME1", "MONOCHROME2"))
    after = identity()
    assert before[0] != after[0]
    assert before[1] != after[1]


# a site's own table


def test_a_site_says_which_of_its_films_are_negatives(tmp_path: Path) -> None:
    columns = ["file", "patient_id", "lateral", "inverted", "lateral_inverted", "edema"]
    rows = [
        ["a.png", "p1", "side.png", "1", "0", "1"],
        ["b.png", "p2", "side.png", "", "1", "0"],
        ["c.png", "p3", "", "0", "", "0"],
    ]
    for name in ("a.png", "b.png", "c.png", "side.png"):
        write_16_bit(tmp_path / name, chest_pixels(40, 40))
    table = write_rows(tmp_path / "films.csv", columns, rows)
    records = open_dataset("site", tmp_path).records
    assert [record.frontal.inverted for record in records] == [True, False, False]
    assert [record.lateral and record.lateral.inverted for record in records] == [False, True, None]
    for value in ("yes", "MONOCHROME1"):
        write_rows(table, columns, [["a.png", "p1", "", value, "", "1"]])
        with pytest.raises(DatasetError, match=f"line 2 has '{value}' for inverted; write 1 where"):
            open_dataset("site", tmp_path)
    with table.open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 1
