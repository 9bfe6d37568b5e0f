"""What is measured of a bone network: scores, breaks, hardware beside it, the residual, pictures."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torchvision
from matplotlib.figure import Figure
from safetensors.torch import save_file
from skimage.metrics import structural_similarity
from torch import Tensor, nn
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
from torchmetrics.functional.image.lpips import _LPIPS

from gan import hardware, pictures
from gan.breaks import Breaks, break_scores, breaks_of, healed_by_kind, unbroken_pair
from gan.contact import TITLE_ROWS, ContactFilm, draw_contact_sheet, panels
from gan.evaluation import SPREAD, measured_on_test, measured_on_validation
from gan.hardware import hardware_scores, hardware_soft, heart_border, subtracted
from gan.motion import LIMIT, motion_of
from gan.pairs import AS_TRUE, BonePair, jsrt_pair, phantom_pair
from gan.perceptual import load_lpips
from gan.pictures import draw_worst
from gan.recipe import BoneRecipe
from gan.residual import Limits, ResidualEnergy, between, residual_energy
from gan.scores import border_error, contrast, edge_residual, lesion_scores, ms_ssim, psnr, ssim_map
from gan.suppression import bone_layer
from gan.training import BoneTask
from suite.datasets import phantom
from suite.datasets.manifest import Record
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError, WeightsError
from suite.phantom.cohort import CohortSettings, write_cohort
from suite.study import FloatImage
from suite.training.plots import plot_spread
from tests import made_datasets
from tests.made_films import chest_pixels
from web.research.figure_words import known_words, words
from web.research.plots import MOST_LETTERS


def cohort(folder: Path, motion: bool, count: int = 3) -> list[Record]:
    settings = CohortSettings(
        seed=8, size=160, lateral=False, motion=motion, prevalence={"fracture": 1.0, "lung_lesion": 1.0}
    )
    write_cohort(settings, count, folder)
    return list(phantom.read(folder).records)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """Three fractured chests with a lesion, whose exposures were made at one moment."""
    return cohort(tmp_path_factory.mktemp("still"), motion=False)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The same with a heartbeat between the exposures."""
    return cohort(tmp_path_factory.mktemp("moved"), motion=True)


# scores


def similar() -> tuple[FloatImage, FloatImage]:
    rng = np.random.default_rng(0)
    first = cv2.GaussianBlur(rng.random((240, 301)).astype(np.float32), (0, 0), 3)
    return first, np.clip(first + rng.normal(0, 0.02, first.shape), 0, 1).astype(np.float32)


def test_ssim_is_that_of_scikit_image() -> None:
    first, second = similar()
    _, expected = structural_similarity(
        first.astype(np.float64), second.astype(np.float64), data_range=1.0, full=True
    )
    np.testing.assert_allclose(ssim_map(first, second), expected, atol=1e-6)


def test_multi_scale_ssim_is_that_of_torchmetrics() -> None:
    first, second = similar()
    tensors = [torch.from_numpy(image)[None, None] for image in (second, first)]
    expected = multiscale_structural_similarity_index_measure(*tensors, data_range=1.0)  # type: ignore[arg-type,misc]
    assert ms_ssim(first, second) == pytest.approx(float(expected), abs=1e-3)
    assert ms_ssim(first, first) == pytest.approx(1.0)
    assert np.isnan(ms_ssim(first[:100], second[:100]))


def test_what_is_left_of_edges_is_a_share_of_them() -> None:
    bone = np.zeros((64, 64), np.float32)
    bone[20:26] = 0.1
    everywhere = np.ones((64, 64), np.uint8)
    assert edge_residual(bone, np.zeros_like(bone), everywhere) == pytest.approx(1.0)
    assert edge_residual(bone, 0.75 * bone, everywhere) == pytest.approx(0.25, abs=1e-6)
    assert edge_residual(bone, bone, everywhere) == 0.0
    assert np.isnan(edge_residual(bone, bone, np.zeros((64, 64), np.uint8)))


def disc(radius: int = 8, side: int = 64) -> Any:
    rows, columns = np.mgrid[:side, :side] - side // 2
    return (np.hypot(rows, columns) <= radius).astype(np.uint8)


def test_a_lesion_that_lost_a_third_of_its_contrast() -> None:
    lesion = disc()
    film = np.asarray(0.4 + 0.06 * lesion, np.float32)
    assert contrast(film, lesion) == pytest.approx(0.06, abs=1e-6)
    taken = np.asarray(0.02 * lesion, np.float32)
    scores = lesion_scores(film, np.zeros_like(film), taken, lesion)
    assert scores == {
        "lesion_contrast": pytest.approx(2 / 3, abs=1e-4),
        "film_lesion_contrast": pytest.approx(1.0),
    }
    faint = lesion_scores(0.4 + 0.1 * (film - 0.4), np.zeros_like(film), taken, lesion)
    assert np.isnan(faint["lesion_contrast"])


@pytest.mark.parametrize(("row", "behind"), [(0, True), (32, True), (60, False)])
def test_a_lesion_behind_bone_is_told_apart(row: int, behind: bool) -> None:
    """Bone from ``row`` down: over all of the disc in the middle of 64 rows, half of it, and next to none."""
    lesion, bony = disc(), np.zeros((64, 64), np.uint8)
    bony[row:] = 255
    film = np.asarray(0.4 + 0.06 * lesion, np.float32)
    scores = lesion_scores(film, np.zeros_like(film), np.asarray(0.02 * lesion, np.float32), lesion, bony)
    apart = {name for name in scores if name.endswith("_behind_bone")}
    assert apart == ({"lesion_contrast_behind_bone", "film_lesion_contrast_behind_bone"} if behind else set())
    if behind:
        assert scores["lesion_contrast_behind_bone"] == scores["lesion_contrast"]


def test_tones_and_grain_are_no_border_error_and_a_moved_border_is() -> None:
    edge = (np.mgrid[:96, :96][1] > 48).astype(np.float32) * 0.3
    band = (np.abs(np.mgrid[:96, :96][1] - 48) < 8).astype(np.uint8)
    assert border_error(edge, edge + 0.05, band, 6.0) < 1e-6
    assert border_error(edge, np.roll(edge, 3, axis=1), band, 6.0) > 0.05
    assert np.isnan(border_error(edge, edge, np.zeros_like(band), 6.0))


# breaks


def test_the_unbroken_patient_differs_at_the_breaks_alone(still: list[Record]) -> None:
    record = still[0]
    pair, whole = phantom_pair(record), unbroken_pair(record.frontal)
    changed = np.abs(pair.film - whole.film) > 0.02
    near = cv2.dilate(phantom.finding_mask(record, "fracture"), np.ones((31, 31), np.uint8)) > 0
    assert changed[near].any()
    assert changed[~near].mean() < 0.01
    assert whole.convention == AS_TRUE


def test_a_kept_a_faded_and_a_healed_break(still: list[Record]) -> None:
    pair, whole = phantom_pair(still[0]), unbroken_pair(still[0].frontal)
    spacing = float(still[0].attributes["spacing_mm"])
    kept = break_scores(pair, pair.bone, whole, whole.bone, spacing)
    assert kept["break_contrast"] == pytest.approx(1.0, abs=1e-4)
    assert kept["break_clarity"] == pytest.approx(kept["true_break_clarity"])
    # soft tissue and other anatomy lie on the film as well
    assert kept["break_over_film"] > 1.0
    faded = 0.6 * pair.bone + 0.4 * whole.bone
    assert break_scores(pair, faded, whole, whole.bone, spacing)["break_contrast"] == pytest.approx(
        0.6, abs=1e-3
    )
    healed = break_scores(pair, whole.bone, whole, whole.bone, spacing)
    assert healed["break_contrast"] == 0.0


def test_breaks_are_told_apart_by_what_their_truth_says(still: list[Record], tmp_path: Path) -> None:
    truth = phantom.read_truth(still[0])
    steps = [one["step_mm"] for f in truth["findings"] if f["type"] == "Fracture" for one in f["breaks"]]
    assert breaks_of(still[0]).step_mm == max(steps)
    kinds = [
        Breaks(step, callus).kind for step, callus in ((0.9, False), (3.0, False), (5.0, False), (5.0, True))
    ]
    assert kinds == ["undisplaced", "small_step", "large_step", "callus"]
    assert healed_by_kind(Breaks(0.9, False), 0.4) == {
        "healed": 1.0, "healed_undisplaced": 1.0, "break_contrast_undisplaced": 0.4,
    }  # fmt: skip
    assert healed_by_kind(Breaks(0.9, False), float("nan")) == {}


def test_a_cohort_of_another_version_has_no_unbroken_twin(still: list[Record], tmp_path: Path) -> None:
    home = tmp_path / "old" / still[0].id
    home.mkdir(parents=True)
    (tmp_path / "old" / "cohort.json").write_text('{"radsuite": "0.0.0", "parts": ["chest"]}')
    with pytest.raises(DatasetError, match=r"version 0\.0\.0"):
        unbroken_pair(home / "frontal.png")


# hardware


def test_subtraction_takes_the_ribs_from_a_patient_who_holds_still(still: list[Record]) -> None:
    record = still[0]
    pair = phantom_pair(record)
    soft = hardware_soft(record)
    assert soft.shape == pair.film.shape
    inside = cv2.erode(pair.lungs, np.ones((9, 9), np.uint8)) > 0
    own = pair.bone[inside] - pair.bone[inside].mean()
    left = (soft - (pair.film - pair.bone))[inside]
    # of the ribs' pattern no half is left, nor taken too much: one weight serves all thicknesses
    assert abs(float((left * own).sum() / (own**2).sum())) < 0.5


def test_a_heartbeat_spoils_the_hardwares_heart_border_and_not_the_films(
    still: list[Record], moved: list[Record]
) -> None:
    errors = []
    for records in (still, moved):
        pair = phantom_pair(records[0])
        assert heart_border(records[0], pair.lungs).any()
        errors.append(hardware_scores(records[0], pair, pair.bone))
    assert errors[1]["hardware_heart_border_error"] > 2 * errors[0]["hardware_heart_border_error"]
    assert errors[0]["heart_border_error"] == errors[1]["heart_border_error"] == 0.0
    assert errors[0]["identity_heart_border_error"] > 0.0


def test_subtraction_is_scored_as_the_network_is(still: list[Record], moved: list[Record]) -> None:
    """It takes bones and leaves the lesion, its tone is no matter, and a heartbeat costs it all of that."""
    scores = []
    for record in (still[1], moved[1]):
        pair = phantom_pair(record)
        scores.append(hardware_scores(record, pair, pair.bone))
    rest, motion = scores
    film = phantom_pair(still[1])
    own = psnr(film.bone[film.lungs > 0])
    assert rest["hardware_psnr"] == pytest.approx(own + rest["hardware_psnr_gain"], abs=0.02)
    assert rest["hardware_psnr_gain"] > 1.0
    assert rest["hardware_edge_residual"] < 0.9
    assert 0.5 < rest["hardware_ssim"] <= 1.0
    assert rest["hardware_lesion_contrast"] == pytest.approx(1.0, abs=0.35)
    for name in ("psnr", "ssim", "psnr_gain"):
        assert motion[f"hardware_{name}"] < rest[f"hardware_{name}"]
    assert motion["hardware_edge_residual"] > rest["hardware_edge_residual"]


def test_a_tone_of_the_hardwares_own_costs_it_nothing(
    still: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = phantom_pair(still[1])
    plain = hardware_scores(still[1], pair, pair.bone)
    soft = hardware_soft(still[1])
    monkeypatch.setattr(hardware, "hardware_soft", lambda record: 0.8 * soft + 0.05)
    toned = hardware_scores(still[1], pair, pair.bone)
    for name in ("hardware_psnr", "hardware_ssim", "hardware_edge_residual", "hardware_lesion_contrast"):
        assert toned[name] == pytest.approx(plain[name], abs=1e-3)


def test_the_filter_finds_the_studies_that_moved(still: list[Record], moved: list[Record]) -> None:
    rest = [motion_of(*subtracted(record)) for record in still]
    motion = [motion_of(*subtracted(record)) for record in moved]
    assert all(after > before for before, after in zip(rest, motion, strict=True))
    assert LIMIT > 0


# the residual


def test_the_energy_of_what_was_taken() -> None:
    film = chest_pixels(200, 160)
    lungs = np.zeros(film.shape, np.uint8)
    lungs[50:150, 30:130] = 255
    width = float(np.percentile(film, 99.5) - np.percentile(film, 0.5))
    smooth = residual_energy(np.full_like(film, 0.05), film, lungs)
    assert smooth.energy == pytest.approx(0.05 / width, rel=0.02)
    striped = np.zeros_like(film)
    striped[::8] = striped[1::8] = 0.1
    assert smooth.structure < 0.02
    striped_film = residual_energy(0.5 * striped, 0.4 + striped, lungs)
    assert striped_film.structure == pytest.approx(0.5, abs=1e-3)
    assert np.isnan(residual_energy(striped, film, np.zeros_like(lungs)).energy)


def test_how_much_a_second_look_takes_again() -> None:
    rng = np.random.default_rng(0)
    pattern = cv2.GaussianBlur(rng.normal(0, 1, (256, 256)).astype(np.float32), (0, 0), 2)
    lungs = np.zeros((256, 256), np.uint8)
    lungs[50:200, 30:225] = 128
    film, taken = 0.5 + 0.2 * pattern, 0.1 * pattern
    smooth = np.full_like(film, 0.1)
    assert residual_energy(taken, film, lungs, 0.3 * taken).again == pytest.approx(0.3, rel=1e-4)
    assert residual_energy(taken, film, lungs, smooth).again == pytest.approx(0.0, abs=1e-3)
    assert residual_energy(taken, film, lungs).again == 0.0
    # nothing was there for the first look either
    assert residual_energy(np.zeros_like(film), film, lungs, smooth).again == 1.0
    assert np.isnan(residual_energy(taken, film, np.zeros_like(lungs), taken).again)


def energies(*shares: float) -> list[ResidualEnergy]:
    return [ResidualEnergy(0.02, 0.01, share) for share in shares]


def test_limits_are_those_of_the_validation_films_and_survive_their_card() -> None:
    usual = [ResidualEnergy(0.02, 0.01, 0.2), ResidualEnergy(0.03, 0.008, 0.3), ResidualEnergy(*[np.nan] * 3)]
    limits = Limits.of(usual, usual, energies(0.5, 0.8, np.nan))
    assert limits == Limits(most_structure=0.01, most_again=pytest.approx(0.4))
    read = Limits.from_json(limits.as_json())
    assert read == Limits(most_structure=0.01, most_again=0.4)
    nothing = Limits.of([])
    assert Limits.from_json({}) == Limits.from_json(nothing.as_json()) == nothing


@pytest.mark.parametrize(
    ("films", "suppressed", "limit"),
    [
        ((0.8, 0.7, 0.6), (0.98, 0.94, 0.9), 0.85),
        ((0.92, 0.8, 0.7, 0.6), (0.98, 0.94, 0.9), 0.85),  # all found for one false alarm, or 2 of 3 for none
        ((0.8, 0.7, 0.6), (0.98, 0.94, 0.75), 0.87),  # one is missed
        ((0.9, 0.8, 0.7, 0.5), (0.95, 0.85, 0.75, 0.65), np.inf),  # J is 0.25: chance
        ((0.9, 0.7, 0.6, 0.5), (0.98, 0.94, 0.65, 0.55), 0.92),  # J is 0.5, just enough
        ((0.9, 0.8), (0.7, 0.6), np.inf),
        ((0.8, 0.8), (0.8, 0.8), np.inf),
        ((), (0.9,), np.inf),
        ((0.9,), (), np.inf),
    ],
)
def test_a_limit_lies_between_films_and_suppressed_ones(
    films: tuple[float, ...], suppressed: tuple[float, ...], limit: float
) -> None:
    assert between(np.array(films), np.array(suppressed)) == pytest.approx(limit)


# the whole


class Oracle(nn.Module):
    """Knows the true layer of each film it is shown, as a share of it."""

    def __init__(self, pairs: list[BonePair], share: float, size: int) -> None:
        super().__init__()
        from suite.framing import frame

        self.known = []
        for pair in pairs:
            framed = frame(pair.film, size)
            layer = framed.grid.apply(pair.bone) / np.float32(framed.levels.width)
            self.known.append((torch.from_numpy(framed.pixels), torch.from_numpy(share * layer)))
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, film: Tensor, convention: Tensor | None = None) -> Tensor:
        distances = [float((film[0, 0] - known).abs().mean()) for known, _ in self.known]
        return self.known[int(np.argmin(distances))][1][None, None]


def test_a_network_that_knows_the_truth_scores_so(still: list[Record], tmp_path: Path) -> None:
    recipe = BoneRecipe.from_settings(["learn_from=phantom", "size=256", "depth=5", "break_films=1"])
    pairs = [phantom_pair(record) for record in still]
    knowing = Oracle([*pairs, unbroken_pair(still[0].frontal)], 1.0, 256)
    parts = {"phantom": still}
    measured = measured_on_test(knowing, parts, parts, recipe)
    figures = {name: figure.value for name, figure in measured.figures.items()}
    # the layer is cut off below 0, and resampled to the network's size and back
    assert figures["psnr_gain"] > 5.0
    assert figures["edge_residual"] < 0.4
    assert figures["lesion_contrast"] == pytest.approx(1.0, abs=0.15)
    assert figures["break_contrast"] > 0.5
    assert figures["healed"] == 0.0
    assert measured.figures["psnr"].n == 3
    assert {"film", "hardware_heart_border_error", "whole_ssim", "identity_psnr"} <= set(measured.rows[0])
    assert {
        f"hardware_{name}" for name in ("psnr", "ssim", "psnr_gain", "edge_residual", "lesion_contrast")
    } <= (set(measured.figures))
    idle = measured_on_test(Oracle(pairs, 0.0, 256), parts, parts, recipe)
    assert idle.figures["psnr_gain"].value == pytest.approx(0.0, abs=1e-3)
    assert idle.figures["edge_residual"].value == pytest.approx(1.0, abs=1e-3)
    assert idle.figures["healed"].value == 1.0
    assert (
        idle.extras["residual"]["most_structure"] is None or idle.extras["residual"]["most_structure"] == 0.0
    )
    measured.write(tmp_path, ("phantom",))
    assert (tmp_path / "films.csv").read_text().count("\n") == 4
    assert cv2.imread(str(tmp_path / "films_phantom.png")) is not None
    assert cv2.imread(str(tmp_path / "worst.png")) is not None
    assert json.loads((tmp_path / "extras.json").read_text())["conventions"] == ["true"]
    assert "published" not in measured.extras, "nobody else printed figures of computed chests"
    assert [name for name in measured.figures if known_words(name) is None] == []
    assert [name for name in measured.figures if len(words(f"phantom_{name}")) > MOST_LETTERS] == []


def test_the_spread_of_films_says_what_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    plot_spread([{"psnr": 30.0, "identity_psnr": 29.0}], SPREAD, tmp_path / "spread.png")
    (axes,) = drawn[0].axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(SPREAD.values())
    assert "median" in axes.get_title()


def test_images_that_are_suppressed_already_are_counted(still: list[Record]) -> None:
    recipe = BoneRecipe.from_settings(["learn_from=phantom", "size=256", "depth=5", "break_films=0"])
    pairs = [phantom_pair(record) for record in still]
    first = Oracle(pairs, 1.0, 256)
    left = [
        pair.film - bone_layer(first, pair.film, 256, torch.device("cpu"), pair.lungs)[0] for pair in pairs
    ]
    softs = [
        replace(pair, film=film, bone=np.zeros_like(pair.bone))
        for pair, rest in zip(pairs, left, strict=True)
        for film in (pair.without_bone, rest)
    ]
    parts = {"phantom": still}
    telling = measured_on_test(Oracle([*pairs, *softs], 1.0, 256), parts, parts, recipe)
    assert 0.0 < telling.extras["residual"]["most_again"] < 1.0
    assert telling.figures["suppressed_found"].value == 1.0
    assert telling.figures["suppressed_false_alarm"].value == 0.0
    # the same network, told nothing of validation films, has no limit to measure with
    blind = measured_on_test(Oracle([*pairs, *softs], 1.0, 256), parts, {}, recipe)
    assert blind.extras["residual"] == {"most_structure": None, "most_again": None}
    assert not any(name.startswith("suppressed") for name in blind.figures)


def test_validation_is_a_part_of_the_same_figures(still: list[Record]) -> None:
    recipe = BoneRecipe.from_settings(["learn_from=phantom", "size=256", "depth=5", "validation_films=2"])
    knowing = Oracle([phantom_pair(record) for record in still], 1.0, 256)
    scalars = measured_on_validation(knowing, {"phantom": still}, recipe).scalars()
    assert scalars["psnr_gain"] > 5.0
    # film, true and own soft tissue, both layers, what is left; a row a film
    samples = measured_on_validation(knowing, {"phantom": still}, recipe).samples
    assert samples["phantom"].shape == (TITLE_ROWS + 2 * 256, 6 * 256)
    titles = np.hsplit(samples["phantom"][:TITLE_ROWS], 6)
    assert all(title.max() > 0.9 for title in titles), "each column says what it shows"
    assert len(measured_on_validation(knowing, {"phantom": still}, recipe).rows) == 2


def test_a_set_without_a_test_film_is_named_as_not_measured(
    still: list[Record], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A cohort of few patients may have none in its test part: its figures do not go missing in silence."""
    recipe = BoneRecipe.from_settings(["learn_from=phantom", "size=64", "depth=5", "break_films=0"])
    idle = Oracle([phantom_pair(record) for record in still], 0.0, 64)
    with caplog.at_level(logging.WARNING, "gan.evaluation"):
        measured = measured_on_test(idle, {"phantom": still[:1], "dual-energy": ()}, {}, recipe)
    (sentence,) = measured.extras["not_measured"]
    assert sentence.startswith("dual-energy has no figures: no film with a bone layer is in its test part;")
    assert sentence in measured.notes
    assert [record.getMessage() for record in caplog.records] == [sentence]
    measured.write(tmp_path)
    assert sentence in (tmp_path / "table.md").read_text()
    assert json.loads((tmp_path / "extras.json").read_text())["not_measured"] == [sentence]
    assert set(json.loads((tmp_path / "datasets.json").read_text())["measured_on"]) == {"phantom"}
    assert not (tmp_path / "films_dual-energy.png").exists()
    assert "not_measured" not in measured_on_test(idle, {"phantom": still[:1]}, {}, recipe).extras


def test_published_figures_stand_beside_those_of_jsrt(tmp_path: Path) -> None:
    records = open_dataset("jsrt", made_datasets.jsrt(tmp_path / "jsrt")).with_target("bone").records
    recipe = BoneRecipe.from_settings(["size=64", "depth=5"])
    idle = Oracle([jsrt_pair(record) for record in records], 0.0, 64)
    measured = measured_on_test(idle, {"jsrt": records}, {}, recipe)
    measured.write(tmp_path / "out")
    published = json.loads((tmp_path / "out" / "extras.json").read_text())["published"]
    assert published["gl_lcm"] == {"psnr": 32.95, "bsr": 0.9006, "lpips": 0.052}
    assert published["mca_net"]["psnr"] == 31.58
    said = (tmp_path / "out" / "table.md").read_text()
    assert "by another protocol" in said
    assert "the film itself, with nothing suppressed, scores highly" in said
    assert measured.figures["bsr"].value > published["gl_lcm"]["bsr"], "of a network that does nothing"


def test_the_worst_films_of_all_sets_are_drawn_the_least_gain_first(
    still: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def draw(films: list[ContactFilm], path: Path) -> None:
        drawn.extend(film.caption for film in films)

    monkeypatch.setattr(pictures, "draw_contact_sheet", draw)
    recipe = BoneRecipe.from_settings(["learn_from=phantom", "size=256", "depth=5"])
    idle = Oracle([phantom_pair(record) for record in still], 0.0, 256)
    gains = [3.0, float("-1"), 2.0]
    measured = [
        (record, {"film": record.id, "dataset": "phantom", "psnr_gain": gain})
        for record, gain in zip(still, gains, strict=True)
    ]
    draw_worst(idle, measured * 5, recipe, tmp_path / "worst.png")
    assert len(drawn) == 12
    assert drawn[0] == f"{still[1].id}: -1.0 dB", "its set is in its name"
    assert [caption.split(": ")[1] for caption in drawn] == ["-1.0 dB"] * 5 + ["+2.0 dB"] * 5 + [
        "+3.0 dB"
    ] * 2


def test_a_contact_sheet_shows_what_is_known(tmp_path: Path) -> None:
    film = chest_pixels(60, 50)
    known = ContactFilm("a film", film, 0.1 * film, 0.05 * film)
    assert [title for title, _ in panels(known)] == [
        "film", "true soft tissue", "soft tissue", "true bone, 4 x", "bone, 4 x", "left of bone, 8 x",
    ]  # fmt: skip
    algorithmic = [title for title, _ in panels(replace(known, wanted="BSE-JSRT"))]
    assert algorithmic[1] == "BSE-JSRT soft tissue"
    assert algorithmic[3] == "BSE-JSRT bone, 4 x"
    unknown = replace(known, bone=None)
    assert [title for title, _ in panels(unknown)] == ["film", "soft tissue", "bone, 4 x"]
    draw_contact_sheet([known, unknown], tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None
    draw_contact_sheet([], tmp_path / "empty.png")
    assert not (tmp_path / "empty.png").exists()


# LPIPS


def photograph_network(path: Path, name: str = "alexnet") -> dict[str, Tensor]:
    """torchvision's network with numbers at random, as a file; without the matrices of its classifier.

    LPIPS does not read those, and vgg16's hold 124 million numbers, most of the network.
    """
    torch.manual_seed(0)
    with torch.device("meta"):
        empty = getattr(torchvision.models, name)().state_dict()
    state = {
        key: torch.randn(value.shape) * (2 / max(1, value[0].numel())) ** 0.5
        for key, value in empty.items()
        if not (key.startswith("classifier") and value.ndim == 2)
    }
    save_file(state, path)
    return state


@pytest.mark.parametrize(("name", "kind"), [("alexnet", "alex"), ("vgg16", "vgg")])
def test_lpips_is_that_of_the_given_network(tmp_path: Path, name: str, kind: str) -> None:
    state = photograph_network(tmp_path / "network.safetensors", name)
    first, second = chest_pixels(96, 80, 1), chest_pixels(96, 80, 2)
    before = torch.random.get_rng_state()
    distance = load_lpips(tmp_path / "network.safetensors")
    assert torch.equal(before, torch.random.get_rng_state()), "training must not depend on a measurement"
    reference = _LPIPS(net=kind, pnet_rand=True).eval()
    wanted = [value for key, value in state.items() if key.startswith("features")]
    with torch.no_grad():
        for own, given in zip(reference.net.parameters(), wanted, strict=True):
            own.copy_(given)
    tensors = [torch.from_numpy(image).expand(1, 3, -1, -1) * 2 - 1 for image in (first, second)]
    assert distance(first, second) == pytest.approx(float(reference(*tensors)), rel=1e-4)
    assert distance(first, first) == 0.0 < distance(first, second)
    assert np.isnan(distance(first[:40], second[:40]))


def test_lpips_is_in_the_figures_only_where_its_network_is_given(still: list[Record], tmp_path: Path) -> None:
    recipe = BoneRecipe.from_settings(["learn_from=phantom", "size=256", "depth=5", "break_films=0"])
    knowing = Oracle([phantom_pair(record) for record in still], 1.0, 256)
    photograph_network(tmp_path / "network.safetensors")
    parts = {"phantom": still}
    without = measured_on_test(knowing, parts, parts, recipe).figures
    assert not any("lpips" in name for name in without)
    figures = measured_on_test(
        knowing, parts, parts, recipe, load_lpips(tmp_path / "network.safetensors")
    ).figures
    assert 0 < figures["lpips"].value < figures["identity_lpips"].value
    assert figures["lpips"].n == 3


def test_a_file_that_is_no_photograph_network_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    with pytest.raises(WeightsError, match=r"is no readable safetensors file .* give torchvision's alexnet"):
        load_lpips(path)
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="holds neither torchvision's alexnet nor its vgg16"):
        load_lpips(path)
    state = photograph_network(path)
    save_file({key: value for key, value in state.items() if key != "features.10.bias"}, path)
    with pytest.raises(WeightsError, match=r"lacks features.10.bias; give the whole network"):
        load_lpips(path)
    save_file(state | {"features.10.bias": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="is not torchvision's alex whole") as caught:
        load_lpips(path)
    assert "\n" not in str(caught.value)
    task = BoneTask(BoneRecipe.from_settings([f"lpips_weights={path}"]), {})
    with pytest.raises(WeightsError):
        task.build()
