"""What the viewer's pixels must be: windows, polarity, comparison, heatmaps, both ways of drawing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests import viewer_desk
from tests.jobs_fakes import COLUMNS, HOT_COLUMN, HOT_ROW, ROWS, film_array
from tests.viewer_desk import (
    FULL,
    Desk,
    Picture,
    ReadingRoom,
    colour_of,
    desk_in,
    grey_at,
    needs_browser,
    open_reading_room,
)

pytestmark = needs_browser
opened, desk = viewer_desk.opened, viewer_desk.desk
SUPPRESSED = (40_000, 48_000)  # every third row the brighter one: tests.jobs_fakes
SUBTRACTED = (12_000, 20_000)  # every second


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingRoom]:
    with open_reading_room(tmp_path_factory.mktemp("pixels")) as room:
        yield room


def ramp(share: float) -> float:
    """Grey of the film at a share of its width, in [0, 1]."""
    return (2_000 + 60_000 * share) / FULL


def window(desk: Desk) -> tuple[float, float]:
    """Width and level of the frontal film as its caption says, in [0, 1]."""
    words = desk.hud("bottom-left").split()
    return float(words[1]) / 100, float(words[4]) / 100


def test_each_grey_is_shown_as_the_captions_window_says(desk: Desk) -> None:
    desk.drag((150, 300), (30, 340))
    width, level = window(desk)
    assert width < 0.95
    assert level > 0.51
    picture = desk.look()
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        expected = np.clip((ramp(share) - level) / width + 0.5, 0, 1) * 255
        x, y = desk.place_of(ROWS / 2, COLUMNS * share)
        assert grey_at(picture, x, y) == pytest.approx(expected, abs=3)
    x, _ = desk.place_of(0, 0)
    assert grey_at(picture, picture.shape[1] / 2, 3) == 0  # beside the film


def test_inverting_mirrors_every_grey_of_this_view_alone(desk: Desk) -> None:
    before, side = desk.look(), desk.look("lateral")
    desk.press("i")
    after = desk.look()
    for share in (0.2, 0.5, 0.8):
        x, y = desk.place_of(ROWS / 2, COLUMNS * share)
        assert grey_at(after, x, y) == pytest.approx(255 - grey_at(before, x, y), abs=1.5)
    np.testing.assert_array_equal(desk.look("lateral"), side)
    assert "Inverted" in desk.hud("top-left")


def test_presets_are_read_off_the_lungs_of_this_film(desk: Desk) -> None:
    film = film_array(1)
    mask = np.zeros(film.shape, bool)
    mask[ROWS // 4 : ROWS * 3 // 4, COLUMNS // 8 : COLUMNS * 3 // 8] = True
    mask[ROWS // 4 : ROWS * 3 // 4, COLUMNS * 5 // 8 : COLUMNS * 7 // 8] = True
    low, high = np.percentile(film[mask], (1, 99)) / FULL
    desk.press("6")
    width, level = window(desk)
    assert level == pytest.approx((low + high) / 2, abs=0.004)
    assert width == pytest.approx((high - low) * 1.12, abs=0.006)  # with a little room at both ends
    desk.press("7")  # between the lungs: the middle quarter of the ramp
    width, level = window(desk)
    assert level == pytest.approx(ramp(0.5), abs=0.006)
    assert 0.2 < width < 0.3
    desk.press("5")
    assert window(desk) == (1.0, 0.5)
    desk.press("a")
    low, high = np.percentile(film, (1, 99)) / FULL
    assert window(desk) == pytest.approx((high - low, (low + high) / 2), abs=0.003)


def test_every_layer_has_its_own_greys(desk: Desk) -> None:
    desk.press("2")
    x, y = desk.place_of(ROWS / 2, COLUMNS / 2)
    mean = desk.look()[round(y) - 40 : round(y) + 40, round(x)].mean()
    assert mean == pytest.approx((2 * SUPPRESSED[0] + SUPPRESSED[1]) / 3 / FULL * 255, abs=2.5)
    desk.press("3")
    width, level = window(desk)
    assert level - width / 2 == pytest.approx(0, abs=0.001)  # of a difference, nothing is black
    assert width == pytest.approx(SUBTRACTED[1] / FULL, abs=0.01)
    mean = desk.look()[round(y) - 40 : round(y) + 40, round(x)].mean()
    assert mean == pytest.approx((SUBTRACTED[0] + SUBTRACTED[1]) / 2 / SUBTRACTED[1] * 255, abs=4)


def test_a_wipe_shows_the_one_left_and_the_other_right_of_its_edge(desk: Desk) -> None:
    plain = desk.look()
    desk.press("2")
    other = desk.look()
    desk.press("1", "v")
    edge = round(desk.box()["width"] / 2)
    wiped = desk.look()
    np.testing.assert_allclose(wiped[:, : edge - 20], plain[:, : edge - 20], atol=1)
    np.testing.assert_allclose(wiped[:, edge + 20 :], other[:, edge + 20 :], atol=1)
    assert not np.allclose(plain[:, edge + 20 :], other[:, edge + 20 :], atol=20)

    handle = desk.page.locator("#wipe-edge").bounding_box()
    assert handle is not None
    middle = handle["x"] + handle["width"] / 2 - desk.box()["x"]
    assert middle == pytest.approx(edge, abs=2)
    desk.drag((middle, 200), (middle - 100, 200))
    wiped = desk.look()
    np.testing.assert_allclose(wiped[:, : edge - 120], plain[:, : edge - 120], atol=1)
    np.testing.assert_allclose(wiped[:, edge - 80 :], other[:, edge - 80 :], atol=1)
    assert window(desk)[0] == 1.0  # the edge was dragged, not the window


def test_blend_and_flicker_mix_what_they_say(desk: Desk) -> None:
    plain = desk.look()
    desk.press("2")
    other = desk.look()
    desk.press("1", "b", *[">"] * 5)
    assert "Soft tissue 75 %" in desk.hud("top-left")
    np.testing.assert_allclose(desk.look(), 0.25 * plain + 0.75 * other, atol=2)
    desk.press("x")
    np.testing.assert_allclose(desk.look(), other, atol=1)
    desk.press("x")
    np.testing.assert_allclose(desk.look(), plain, atol=1)


def test_side_by_side_shares_place_and_window(desk: Desk) -> None:
    desk.press("d")
    desk.page.mouse.move(desk.box()["x"] + 120, desk.box()["y"] + 250)
    desk.page.mouse.wheel(0, -400)
    desk.drag((120, 250), (60, 250))
    first, second = desk.look(index=0), desk.look(index=1)
    desk.press("Escape", "1")
    assert desk.hud("bottom-left").split()[1] != "100.0"
    assert first.shape == pytest.approx(second.shape, abs=1)
    # The soft-tissue layer is flat across, the film a ramp; both in one window and polarity.
    assert first[250].std() > 5 * second[250].std()


def spot(picture: Picture, plain: Picture) -> tuple[float, float]:
    """Centre (x, y) of what a heatmap of one spot added, boxes around it left out."""
    added = np.abs(picture - plain).sum(axis=2)
    rows, columns = np.nonzero(added > 0.8 * added.max())
    return float(columns.mean() + 0.5), float(rows.mean() + 0.5)


def test_a_hot_pixel_appears_where_it_was_planted(desk: Desk) -> None:
    plain = desk.look()
    desk.page.click('.finding[data-code="edema"]')
    desk.settle()
    assert spot(desk.look(), plain) == pytest.approx(desk.place_of(HOT_ROW, HOT_COLUMN), abs=1.5)
    desk.press("h")
    np.testing.assert_array_equal(desk.look(), plain)


def test_a_hot_pixel_stays_on_its_place_zoomed_mirrored_and_turned(desk: Desk) -> None:
    box, scale = desk.box(), desk.fit_scale()
    middle = (box["width"] / 2, box["height"] / 2)
    away = ((HOT_COLUMN - COLUMNS / 2) * scale, (HOT_ROW - ROWS / 2) * scale)
    # by hand: mirrored, x changes its sign; turned right by a quarter, (x, y) becomes (-y, x)
    mirrored = (middle[0] - away[0], middle[1] + away[1])
    turned_scale = min(box["width"] / ROWS, box["height"] / COLUMNS) * 0.98
    turned = (middle[0] - away[1] / scale * turned_scale, middle[1] + away[0] / scale * turned_scale)
    desk.page.click('.finding[data-code="edema"]')
    for keys, expected in ((["m"], mirrored), (["m", "e"], turned)):
        desk.press("h", *keys)
        plain = desk.look()
        desk.press("h")
        assert spot(desk.look(), plain) == pytest.approx(expected, abs=2)
    assert "Turned 90°" in desk.hud("top-right")
    desk.press("0")
    desk.page.click('.finding[data-code="edema"]')
    desk.press("h")
    x, y = desk.place_of(HOT_ROW, HOT_COLUMN)
    desk.point(x, y)
    desk.page.mouse.wheel(0, -600)  # zoomed with the pointer on the spot: it stays under the pointer
    desk.settle()
    plain = desk.look()
    desk.press("h")
    assert spot(desk.look(), plain) == pytest.approx((x, y), abs=4)


def test_contours_surround_the_spot(desk: Desk) -> None:
    desk.press("h", "c")
    coloured = colour_of(desk.look()) > 60
    coloured[[0, 1, -2, -1]] = coloured[:, [0, 1, -2, -1]] = False  # the frame of the active pane
    rows, columns = np.nonzero(coloured)
    x, y = desk.place_of(HOT_ROW, HOT_COLUMN)
    scale = desk.fit_scale()
    assert (columns.min() + columns.max()) / 2 == pytest.approx(x, abs=2)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(y, abs=2)
    assert columns.max() - columns.min() == pytest.approx(8 * scale, abs=3 * scale)  # the spot is 8 x 8
    assert not coloured[round(y), round(x)]  # open in the middle


def test_the_lung_outline_lies_on_the_masks_border(desk: Desk) -> None:
    desk.press("o")
    coloured = colour_of(desk.look())
    for column in (COLUMNS // 8, COLUMNS * 3 // 8, COLUMNS * 5 // 8, COLUMNS * 7 // 8):
        x, y = desk.place_of(ROWS / 2, column)
        assert coloured[round(y), round(x) - 2 : round(x) + 3].max() > 40
        assert coloured[round(y), round(x) + 8 : round(x) + 16].max() == 0
    for row in (ROWS // 4, ROWS * 3 // 4):
        x, y = desk.place_of(row, COLUMNS / 4)
        assert coloured[round(y) - 2 : round(y) + 3, round(x)].max() > 40


def test_the_magnifier_shows_the_place_under_the_pointer_larger(desk: Desk) -> None:
    desk.press("g")
    x, y = desk.place_of(ROWS / 2, COLUMNS / 2)
    plain = desk.look()
    desk.point(x, y)
    seen = desk.look()
    near = 40  # pixels from the middle, inside the lens
    slope = [(grey_at(picture, x + near, y) - grey_at(picture, x - near, y)) for picture in (plain, seen)]
    assert slope[1] == pytest.approx(slope[0] / 2.5, rel=0.1)
    assert grey_at(seen, x, y) == pytest.approx(grey_at(plain, x, y), abs=2)
    np.testing.assert_allclose(seen[:100], plain[:100], atol=1)


def test_the_canvas_fallback_shows_what_webgl_shows(room: ReadingRoom) -> None:
    pictures: dict[tuple[str, str], Picture] = {}
    context = room.context()
    desk = Desk(context.new_page(), room)
    for renderer in ("webgl", "canvas"):
        desk.open(query=f"?renderer={renderer}")
        assert desk.state("renderer") == renderer
        pictures[renderer, "whole"] = desk.look()
        desk.press("i", "Shift+ArrowLeft", "Shift+ArrowDown", "+", "m", "e")
        pictures[renderer, "windowed, zoomed, mirrored, turned"] = desk.look()
        desk.press("0", "v")
        pictures[renderer, "wiped"] = desk.look()
        desk.press("b")
        pictures[renderer, "blended"] = desk.look()
        desk.press("0", "g")
        desk.point(150, 250)
        pictures[renderer, "magnified"] = desk.look()
    context.close()
    for (renderer, state), picture in pictures.items():
        if renderer == "canvas":
            difference = np.abs(pictures["webgl", state] - picture).max(axis=2)
            # the film's edge may fall on either side of a screen pixel
            assert np.percentile(difference, 99) <= 2, state
            assert picture.std() > 30, state
    assert desk.complaints == []


def test_a_lost_graphics_processor_costs_nothing_but_speed(room: ReadingRoom) -> None:
    with desk_in(room) as desk:
        _lose_the_graphics_processor(desk)


def _lose_the_graphics_processor(desk: Desk) -> None:
    before = desk.look()
    desk.page.evaluate(
        "() => document.getElementById('film-canvas').getContext('webgl2')"
        ".getExtension('WEBGL_lose_context').loseContext()"
    )
    desk.page.wait_for_selector('#viewer[data-renderer="canvas"]')
    desk.settle()
    assert np.percentile(np.abs(desk.look() - before), 99) <= 2
