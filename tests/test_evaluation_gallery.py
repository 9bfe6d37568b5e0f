"""The worst films as one picture: which are chosen, which are loaded, and what is drawn on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from suite.training.evaluation import Evaluation, Figure
from suite.training.gallery import (
    SIDE,
    GalleryFilm,
    Overlay,
    draw_gallery,
    outlines,
    shortened,
    shrunk,
    worst,
)

BLUE, ORANGE = (0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)


def overlay(truth: tuple[int, int] = (20, 60), predicted: tuple[int, int] = (30, 70)) -> Overlay:
    """A grey film of 100 x 80 with a square of rows and columns a to b for truth and prediction."""
    masks = np.zeros((2, 100, 80), np.uint8)
    for mask, (first, last) in zip(masks, (truth, predicted), strict=True):
        mask[first:last, first:last] = 255
    return Overlay(np.full((100, 80), 0.4, np.float32), masks[0], masks[1])


def films(scores: list[float], load: Callable[[], Overlay] = overlay) -> list[GalleryFilm]:
    return [GalleryFilm(f"film-{index}", score, load) for index, score in enumerate(scores)]


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Pixels of about that colour (RGB) in a picture as OpenCV reads it."""
    return int((np.abs(picture[..., ::-1].astype(int) - colour).max(axis=-1) < 40).sum())


def test_the_twelve_lowest_scores_are_shown_the_lowest_first() -> None:
    scores = [0.9 - 0.01 * index for index in range(30)]
    scores[3] = math.nan
    scores[7] = 0.05
    chosen = [film.id for film in worst(films(scores))]
    assert chosen == ["film-7", *(f"film-{index}" for index in range(29, 18, -1))]


def test_only_what_is_shown_is_loaded(tmp_path: Path) -> None:
    loaded: list[str] = []

    def loader(name: str) -> Callable[[], Overlay]:
        def load() -> Overlay:
            loaded.append(name)
            return overlay()

        return load

    many = [GalleryFilm(f"film-{index}", index / 40, loader(f"film-{index}")) for index in range(40)]
    Evaluation({"dice": Figure(0.5)}, gallery=many).write(tmp_path)
    assert loaded == [f"film-{index}" for index in range(12)]
    picture = cv2.imread(str(tmp_path / "worst.png"))
    rows, columns = picture.shape[:2]
    assert columns > rows > columns / 2  # four by three


def test_both_outlines_are_drawn_where_they_are(tmp_path: Path) -> None:
    alone = Overlay(np.full((100, 80), 0.4, np.float32), overlay().truth, np.zeros((100, 80), np.uint8))
    draw_gallery([GalleryFilm("a", 0.1, lambda: alone)], tmp_path / "truth.png")
    draw_gallery([GalleryFilm("a", 0.1, overlay)], tmp_path / "both.png")
    truth, both = (cv2.imread(str(tmp_path / name)) for name in ("truth.png", "both.png"))
    legend = 120  # rows at the foot
    assert near(truth[:-legend], BLUE) > 100
    assert near(truth[:-legend], ORANGE) == 0
    assert near(both[:-legend], ORANGE) > 100
    blue = np.argwhere(np.abs(truth[:-legend, :, ::-1].astype(int) - BLUE).max(axis=-1) < 40)
    height, width = blue.max(axis=0) - blue.min(axis=0)
    assert height == pytest.approx(width, abs=3)  # the square stays one


def test_films_without_a_score_make_no_picture(tmp_path: Path) -> None:
    draw_gallery(films([math.nan, math.nan]), tmp_path / "worst.png")
    assert not (tmp_path / "worst.png").exists()


def test_a_name_with_signs_of_formulae_is_drawn_as_it_is(tmp_path: Path) -> None:
    draw_gallery([GalleryFilm("film$_^{1", 0.2, overlay)], tmp_path / "worst.png")
    assert (tmp_path / "worst.png").is_file()


def test_a_long_name_loses_its_middle() -> None:
    assert shortened("JPCLN001") == "JPCLN001"
    name = "covid-lungs 205_pneumonia-progression-and-regression-day20"
    assert len(shortened(name)) <= 38
    assert shortened(name).startswith("covid-lungs 205_")
    assert shortened(name).endswith("-day20")


def test_a_large_film_is_shrunk_and_a_small_one_left() -> None:
    assert shrunk(np.zeros((3000, 1500), np.float32)).shape == (SIDE, SIDE // 2)
    small = np.zeros((50, 70), np.float32)
    assert shrunk(small) is small


def test_an_outline_on_another_matrix_lies_at_the_same_place() -> None:
    mask = np.zeros((20, 10), np.uint8)
    mask[4:8, 2:6] = 1
    (line,) = outlines(mask, (200, 100))
    # pixel centres 2 .. 5 and 4 .. 7 on a grid ten times as fine
    assert line.min(axis=0).tolist() == [24.5, 44.5]
    assert line.max(axis=0).tolist() == [54.5, 74.5]
    np.testing.assert_array_equal(line[0], line[-1])


def test_each_label_and_each_plane_has_its_own_outline() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[1:9, 1:5], labels[1:9, 5:9] = 128, 255  # they touch
    planes = np.stack([labels == 128, labels == 255], axis=-1).astype(np.uint8)
    for mask in (labels, planes):
        assert len(list(outlines(mask, (10, 10)))) == 2
    assert len(list(outlines((labels > 0).astype(np.uint8), (10, 10)))) == 1
    assert list(outlines(np.zeros((10, 10), np.uint8), (10, 10))) == []
