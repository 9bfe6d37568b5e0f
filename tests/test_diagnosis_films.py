"""Planes of the diagnosis network: what stands in each, what moves together, and where bones come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifiers.diagnosis.batches import RowSet, row_batches, study_batch
from classifiers.diagnosis.bone_sources import DualEnergy
from classifiers.diagnosis.channels import planes_of
from classifiers.diagnosis.films import MASK_STRIDE, FilmSettings, StudyFilms
from suite.datasets import phantom
from suite.datasets.manifest import Manifest, Record
from suite.errors import DatasetError, WeightsError
from suite.findings import CODES
from suite.framing import frame
from suite.training.films import load_film, open_film
from tests import fake_stages
from tests.made_cohort import SIDE, cohort, cohort_folder  # noqa: F401 - fixtures

TRUE = FilmSettings(SIDE, ("true", "dual_energy"), "true")


@pytest.fixture(scope="module")
def films(cohort: Manifest) -> StudyFilms:  # noqa: F811
    return StudyFilms.decode(cohort.records, TRUE, "cpu")


def one(films: StudyFilms, record: Record, planes: tuple[str, ...], *, augmented: bool = False) -> np.ndarray:
    rows = torch.tensor(films.rows_of([record]))
    return study_batch(films, rows, planes, augmented=augmented).frontal[0].numpy()


@pytest.mark.parametrize(
    ("configuration", "source", "without", "planes"),
    [
        ("single", "gan", "", ("x-ray", "x-ray", "x-ray")),
        ("dual", "true", "", ("x-ray",)),
        ("dual+lungs", "gan", "", ("x-ray", "lung-segmented")),
        ("dual+lungs+bone", "gan", "", ("x-ray", "lung-segmented", "bone-subtracted")),
        ("dual+lungs+bone", "true", "", ("x-ray", "lung-segmented", "true-bone")),
        ("dual+lungs+bone", "dual_energy", "x-ray", ("lung-segmented", "dual-energy")),
        ("dual+lungs+bone", "gan", "bone-subtracted", ("x-ray", "lung-segmented")),
    ],
)
def test_configurations_name_their_planes(
    configuration: str, source: str, without: str, planes: tuple[str, ...]
) -> None:
    assert planes_of(configuration, source, without) == planes  # type: ignore[arg-type]


def test_the_placebo_is_the_film_again(films: StudyFilms, cohort: Manifest) -> None:  # noqa: F811
    planes = planes_of("dual+lungs+bone", "copy")
    for augmented in (False, True):
        batch = one(films, cohort.records[3], planes, augmented=augmented)
        np.testing.assert_array_equal(batch[2], batch[0])


def test_planes_are_the_framed_film_its_lungs_and_its_true_bones(
    films: StudyFilms,
    cohort: Manifest,  # noqa: F811
) -> None:
    record = cohort.records[0]
    planes = one(films, record, ("x-ray", "lung-segmented", "true-bone"))
    framed = frame(load_film(record.frontal), SIDE)
    np.testing.assert_allclose(planes[0], framed.pixels, atol=1e-4)
    lungs = phantom.lung_planes(record).max(-1)
    np.testing.assert_allclose(planes[1], framed.pixels * lungs, atol=1e-4)  # the film has the network's size
    expected = np.clip(phantom.bone_layer(record) * 3.0 / framed.levels.width, 0, 1)
    np.testing.assert_allclose(planes[2], expected, atol=1e-4)


def test_two_exposures_show_bones_and_hide_soft_tissue(cohort: Manifest) -> None:  # noqa: F811
    device = DualEnergy.calibrate(cohort.records)
    found = []
    for record in cohort.records:
        bone, tissue = device(record), phantom.tissue_classes(record)
        inside = phantom.lung_planes(record).max(-1) > 0
        ribs, between = bone[inside & (tissue == 2)], bone[inside & (tissue == 1)]
        found.append(np.median(ribs) - np.median(between))
    assert min(found) > 0.03
    assert np.median(found) > 0.1


def test_masks_are_kept_to_the_last_speck(films: StudyFilms, cohort: Manifest) -> None:  # noqa: F811
    masks = films.bank.stored["masks"]
    assert masks.shape[1:] == (len(CODES), SIDE // MASK_STRIDE, SIDE // MASK_STRIDE)
    for record in cohort.records:
        row = films.rows_of([record])[0]
        for index, code in enumerate(CODES):
            truth = phantom.finding_mask(record, code)
            cells = truth.reshape(SIDE // MASK_STRIDE, MASK_STRIDE, -1, MASK_STRIDE).max((1, 3))
            kept = masks[row, index].numpy()
            assert not (cells > kept).any(), code
            assert kept.sum() <= 4 * max(cells.sum(), 1)


def test_film_lungs_bones_and_masks_move_together(cohort: Manifest) -> None:  # noqa: F811
    """A bright square with its own mask: after any turn the mask still lies on the square."""
    films = StudyFilms.decode(cohort.records[:1], replace(TRUE, bones=("true",)), "cpu")
    for name in ("film", "lungs", "bone_true"):
        films.bank.stored[name].zero_()
        films.bank.stored[name][..., 16:28, 32:44] = 32767
    films.bank.stored["masks"].zero_()
    films.bank.stored["masks"][:, :, 4:7, 8:11] = 1
    torch.manual_seed(0)
    places = set()
    for _ in range(5):
        batch = study_batch(
            films, torch.tensor([0]), ("x-ray", "lung-segmented", "true-bone"), augmented=True
        )
        centres = [_centre(plane) for plane in batch.frontal[0]]
        mask = _centre(batch.masks[0, 0], 0.0) * MASK_STRIDE + (MASK_STRIDE - 1) / 2
        for centre in (*centres, mask):
            assert float((centre - centres[2]).abs().max()) < 1.5
        places.add(tuple(centres[0].round().tolist()))
    assert len(places) > 1


def _centre(plane: torch.Tensor, level: float = 0.5) -> torch.Tensor:
    """Row and column of the middle of what exceeds ``level`` of the maximum; 0: of the values."""
    weight = (plane > level * plane.max()).float() if level else plane
    rows, columns = (torch.arange(side, dtype=torch.float32) for side in plane.shape)
    return torch.stack(((weight.sum(1) * rows).sum(), (weight.sum(0) * columns).sum())) / weight.sum()


def test_a_study_without_lateral_says_so(cohort: Manifest) -> None:  # noqa: F811
    records = (cohort.records[0], replace(cohort.records[1], lateral=None))
    films = StudyFilms.decode(records, replace(TRUE, bones=()), "cpu")
    batch = next(row_batches(films, films.rows_of(records), ("x-ray",), 2))
    assert batch.has_lateral.tolist() == [True, False]
    assert not batch.lateral[1].any()


def test_the_stages_make_lungs_and_bones_where_no_truth_is_wanted(
    cohort: Manifest,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = {"lungs": fake_stages.lungs(), "bone": fake_stages.bone()}
    monkeypatch.setattr("classifiers.diagnosis.films.load_stage", made.__getitem__)
    record = cohort.records[0]
    films = StudyFilms.decode([record], FilmSettings(SIDE), "cpu")
    film = open_film(record.frontal)
    framed = frame(film.pixels, SIDE)
    planes = one(films, record, ("lung-segmented", "bone-subtracted"))
    lungs = fake_stages.lungs_of(film.shape) > 0
    np.testing.assert_allclose(planes[0], framed.pixels * lungs, atol=1e-4)
    layer = np.clip(fake_stages.bone_of(film) * 3.0 / framed.levels.width, 0, 1)
    np.testing.assert_allclose(planes[1], layer, atol=1e-4)


def test_films_come_back_from_their_file_as_they_were(films: StudyFilms, tmp_path: Path) -> None:
    path = tmp_path / "films.safetensors"
    films.save(path, "what they are made of")
    back = StudyFilms.load(path, "what they are made of", "cpu")
    assert back.rows == films.rows
    assert all(torch.equal(back.bank.stored[name], films.bank.stored[name]) for name in films.bank.stored)
    with pytest.raises(WeightsError, match="holds other films than asked for; remove it"):
        StudyFilms.load(path, "something else", "cpu")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsError, match="is no readable file of films"):
        StudyFilms.load(path, "what they are made of", "cpu")


def test_what_a_set_does_not_have_is_named(cohort: Manifest) -> None:  # noqa: F811
    record = replace(cohort.records[0], targets={"truth": cohort.records[0].targets["truth"]})
    for settings, words in (
        (FilmSettings(SIDE, ("true",), "stage"), "has no bone, which bone_source=true needs"),
        (FilmSettings(SIDE, (), "true"), "has no lung_mask, which lung_source=true needs"),
        (FilmSettings(SIDE, ("dual_energy",), "stage"), "has no low, which bone_source=dual_energy needs"),
    ):
        with pytest.raises(DatasetError, match=words):
            StudyFilms.decode([record], settings, "cpu")


def test_an_epoch_may_pass_over_the_studies_several_times() -> None:
    rows = RowSet([7, 3], passes=3)
    assert [int(rows[index]["index"]) for index in range(len(rows))] == [7, 3, 7, 3, 7, 3]
