"""Every tool of the viewer by mouse and by key: place, measuring, hanging, fracture review, the keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from suite.accounts.principal import Role
from tests import viewer_desk
from tests.dicom_zoo import make_dataset, save
from tests.jobs_fakes import COLUMNS, ROWS, film_png
from tests.viewer_desk import Desk, ReadingRoom, desk_in, grey_at, needs_browser, open_reading_room
from tests.web_house import House

pytestmark = needs_browser
opened, desk = viewer_desk.opened, viewer_desk.desk
SPACING = (0.5, 0.25)
"""Row and column spacing in mm of the study ``spaced``: unlike each other, so that a mix-up shows."""


def change_report(house: House, study_id: str, change: Any) -> None:
    """Rewrite a stored report."""
    study = house.services.catalogue.study(study_id)
    assert study is not None
    assert study.done is not None
    path = house.services.store.file(study_id, str(study.done.reading), "report.json")
    report = json.loads(path.read_text())
    change(report)
    path.write_text(json.dumps(report))


def give_header(house: House, study_id: str, date: str) -> None:
    """Make a study's stored frontal a DICOM file of one patient, taken at ``date``."""
    path = house.services.store.source(study_id, "frontal.png")
    assert path is not None
    save(make_dataset(np.zeros((8, 8)), PatientID="P7", StudyDate=date, StudyTime="0900"), path)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingRoom]:
    """``chest`` without spacing or header; ``spaced`` with both, of the patient of ``earlier``."""
    with open_reading_room(tmp_path_factory.mktemp("tools")) as room:
        house = room.house
        house.take("spaced.png", film_png(3), "side.png", film_png(4))
        house.take("earlier.png", film_png(5), "side.png", film_png(6))
        house.wait()
        for study, date in (("spaced", "20240302"), ("earlier", "20210711")):
            give_header(house, study, date)

        def change(report: dict[str, Any]) -> None:
            report["study"]["views"]["frontal"]["spacing_mm"] = list(SPACING)
            (fracture,) = (finding for finding in report["findings"] if finding["code"] == "fracture")
            fracture |= {
                "score": 0.4,
                "probability": 0.6,
                "interval": [0.5, 0.7],
                "operating_point": 0.4,
                "state": "suggested",
                "regions": [
                    {"view": "frontal", "box": [40, 100, 60, 120], "zone": "right upper", "inside_lung": 0.5}
                ],
            }

        change_report(house, "spaced", change)
        yield room


@pytest.fixture(scope="module")
def spaced(room: ReadingRoom) -> Iterator[Desk]:
    with desk_in(room, study="spaced") as desk:
        desk.page.wait_for_selector('.pane[data-view="prior"]')
        yield desk


def zoom_of(desk: Desk, view: str = "frontal") -> float:
    return float(desk.hud("bottom-left", view).split()[-2]) / 100


def test_views_hang_frontal_left_lateral_right_and_the_prior_below(spaced: Desk) -> None:
    spaced.fresh()
    frontal, lateral, prior = (spaced.box(view) for view in ("frontal", "lateral", "prior"))
    assert frontal["x"] + frontal["width"] <= lateral["x"] + 1
    assert prior["y"] >= lateral["y"] + lateral["height"]
    assert "2021-07-11" in spaced.hud("top-left", "prior")
    spaced.press("Shift+P")
    frontal, prior = spaced.box("frontal"), spaced.box("prior")
    assert prior["width"] == pytest.approx(frontal["width"], abs=2)
    assert prior["x"] > frontal["x"]
    spaced.press("Shift+P")
    assert spaced.state("layout") == "all"
    spaced.page.set_viewport_size({"width": 1080, "height": 1920})
    spaced.settle()
    frontal, prior = spaced.box("frontal"), spaced.box("prior")
    assert prior["y"] >= frontal["y"] + frontal["height"]
    assert prior["x"] == frontal["x"]


def test_a_study_without_a_prior_says_so(desk: Desk) -> None:
    desk.press("Shift+P")
    assert "no earlier film" in desk.page.locator("#notice").inner_text()
    assert desk.page.locator('.rail [data-command="prior"]').is_hidden()


def test_one_view_fills_the_stage_by_double_click_and_by_key(desk: Desk) -> None:
    both = desk.box("lateral")["width"]
    desk.page.mouse.dblclick(desk.box("lateral")["x"] + 100, desk.box("lateral")["y"] + 200)
    desk.settle()
    assert desk.page.locator(".pane").count() == 1
    assert desk.box("lateral")["width"] > 1.8 * both
    desk.press("t")
    assert desk.box("frontal")["width"] > 1.5 * both
    desk.click("alone")
    assert desk.page.locator(".pane").count() == 2


def test_zoom_keeps_the_point_under_the_pointer_and_fit_brings_all_back(desk: Desk) -> None:
    before = desk.look()
    fitted = zoom_of(desk)
    x, y = desk.place_of(ROWS * 0.3, COLUMNS * 0.7)
    desk.point(x, y)
    desk.page.mouse.wheel(0, -500)
    desk.settle()
    assert zoom_of(desk) == pytest.approx(fitted * np.exp(0.75), rel=0.01)
    assert grey_at(desk.look(), x, y) == pytest.approx(grey_at(before, x, y), abs=2)
    desk.press("f")
    np.testing.assert_array_equal(desk.look(), before)
    desk.press("+", "-")
    assert zoom_of(desk) == pytest.approx(fitted, rel=0.01)
    desk.click("one")
    assert zoom_of(desk) == 1
    desk.click("fit")
    np.testing.assert_array_equal(desk.look(), before)


@pytest.mark.parametrize("way", ["shift", "right", "tool", "keys"])
def test_the_film_is_moved_by_what_was_dragged(desk: Desk, way: str) -> None:
    x, y = desk.place_of(ROWS / 2, COLUMNS / 2)
    before = desk.look()
    mouse, box = desk.page.mouse, desk.box()
    if way == "keys":
        desk.press("ArrowRight", "ArrowRight")
        shift = -80  # the window over the film moves right by two steps of 40
    else:
        if way == "shift":
            desk.page.keyboard.down("Shift")
        if way == "tool":
            desk.click("pan-tool")
        mouse.move(box["x"] + x, box["y"] + y)
        mouse.down(button="right" if way == "right" else "left")
        mouse.move(box["x"] + x + 60, box["y"] + y)
        mouse.up(button="right" if way == "right" else "left")
        desk.page.keyboard.up("Shift")
        desk.settle()
        shift = 60
    after = desk.look()
    assert grey_at(after, x + shift / 2, y) == pytest.approx(grey_at(before, x - shift / 2, y), abs=2)
    assert desk.hud("bottom-left").startswith("W 100.0 %")
    assert desk.page.locator("#viewer").get_attribute("data-tool") == ("pan" if way == "tool" else "window")


def measured(desk: Desk) -> str:
    return desk.page.locator("#drawn li").last.inner_text()


def test_a_length_is_in_pixels_where_no_spacing_is_known(desk: Desk) -> None:
    desk.click("length")
    desk.drag(desk.place_of(100, 50), desk.place_of(100, 150))
    assert "100 px" in measured(desk)
    assert "mm" not in measured(desk)
    desk.press("e", "m", "+")  # turned, mirrored and zoomed it is as long as before
    assert "100 px" in measured(desk)
    desk.press("Backspace")
    assert desk.page.locator("#drawn-card").is_hidden()


def test_a_length_is_at_the_detector_in_both_spacings_and_its_end_can_be_moved(spaced: Desk) -> None:
    spaced.fresh()
    spaced.press("l")
    spaced.drag(spaced.place_of(100, 60), spaced.place_of(180, 120))
    expected = np.hypot(80 * SPACING[0], 60 * SPACING[1])  # 40 and 15 mm
    assert "mm at detector" in measured(spaced)
    assert float(measured(spaced).split()[1]) == pytest.approx(expected, abs=0.3)
    spaced.press("w")
    spaced.drag(spaced.place_of(180, 120), spaced.place_of(100, 160))
    assert float(measured(spaced).split()[1]) == pytest.approx(100 * SPACING[1], abs=0.3)
    assert spaced.hud("bottom-left").startswith("W 100.0 %")


def test_an_angle_is_drawn_in_three_points(spaced: Desk) -> None:
    spaced.fresh()
    spaced.click("angle")
    # legs of 20 mm up and 20 mm right, once the spacings are heeded: 90 and, to the diagonal, 45 degrees
    spaced.drag(spaced.place_of(100, 60), spaced.place_of(140, 60))
    box = spaced.box()
    x, y = spaced.place_of(100, 140)
    spaced.page.mouse.move(box["x"] + x - 40, box["y"] + y)
    spaced.page.mouse.click(box["x"] + x, box["y"] + y)
    spaced.settle()
    assert float(measured(spaced).split()[1].rstrip("°,")) == pytest.approx(45, abs=0.7)


def test_fracture_review_puts_bone_beside_film_and_walks_honestly(desk: Desk) -> None:
    desk.press("r")
    assert desk.state("layout") == "bones"
    bone, film = desk.box(index=0), desk.box(index=1)
    assert bone["width"] > 1.5 * film["width"]
    label = desk.page.locator("#bones-label")
    assert label.inner_text().startswith("Rib walk 1 of 36: right side, level 1 of 9, outer.")
    assert "nothing is suspected" in label.inner_text()
    desk.press(".")
    assert "Rib walk 2 of 36" in label.inner_text()
    desk.click("stop")  # the button back
    assert "Rib walk 1 of 36" in label.inner_text()
    desk.press(",")
    assert "Rib walk 36 of 36: left side, level 9 of 9" in label.inner_text()
    assert zoom_of(desk) > 1.5 * desk.fit_scale()
    desk.point(120, 200)
    picture = desk.look(index=1)
    assert np.abs(np.diff(picture.max(axis=2), axis=1)).max() > 30  # the lens's ring, in the other pane too
    desk.press("Escape")
    assert desk.state("layout") == "all"
    assert zoom_of(desk) == pytest.approx(desk.fit_scale(), abs=0.01)


def test_fracture_review_suspects_nothing_where_the_score_has_no_probability(room: ReadingRoom) -> None:
    reason = "learned from computed films only"
    region = {"view": "frontal", "box": [40, 100, 60, 120], "zone": "right upper", "inside_lung": 0.5}

    def change(report: dict[str, Any]) -> None:
        (fracture,) = (finding for finding in report["findings"] if finding["code"] == "fracture")
        fracture |= {"score": 0.4, "state": "uncertain", "no_probability": reason, "regions": [region]}

    change_report(room.house, "earlier", change)
    with desk_in(room, study="earlier") as desk:
        desk.click("bones")
        label = desk.page.locator("#bones-label").inner_text()
    assert label == f"Place 1 of 1 of the fracture heatmap: right upper. No probability: {reason}."


def test_fracture_review_steps_along_what_the_network_suspects(spaced: Desk) -> None:
    spaced.fresh()
    spaced.click("bones")
    label = spaced.page.locator("#bones-label").inner_text()
    assert label == "Suspected place 1 of 1: right upper. From the fracture heatmap."
    x, y = spaced.box()["width"] / 2, spaced.box()["height"] / 2
    spaced.point(x, y)
    under = spaced.hud("bottom-right").split()
    assert (int(under[3]), int(under[5])) == pytest.approx((110, 50), abs=1)  # the middle of the region's box
    spaced.press("r")


def test_keys_and_buttons_show_the_same_tool(desk: Desk) -> None:
    for key, command, attribute, value in (
        ("p", "pan-tool", "tool", "pan"),
        ("q", "angle", "tool", "angle"),
        ("v", "wipe", "compare", "wipe"),
        ("b", "blend", "compare", "blend"),
        ("d", "side", "compare", "side"),
    ):
        desk.press("0", key)
        assert desk.state(attribute) == value
        pressed = desk.page.locator(f'.rail [data-command="{command}"]')
        assert pressed.get_attribute("aria-pressed") == "true"
        desk.press("0")
        desk.click(command)
        assert desk.state(attribute) == value


def test_keys_step_through_findings_and_leave_them_again(desk: Desk) -> None:
    desk.press("j")
    assert desk.state("finding") == "pleural_effusion"
    desk.press("j")
    assert desk.state("finding") == "consolidation"
    desk.press("k")
    assert desk.state("finding") == "pleural_effusion"
    assert "no heatmap in this view" in desk.hud("top-right", "lateral")
    desk.press("]")
    assert desk.page.locator("#opacity-value").inner_text() == "60 %"
    desk.press("Escape")
    assert desk.state("finding") == ""


def test_opacity_fades_the_heatmap(desk: Desk) -> None:
    plain = desk.look()
    desk.page.click('.finding[data-code="edema"]')
    strength = []
    for value in ("10", "50", "100"):
        desk.page.locator("#opacity").fill(value)
        desk.settle()
        strength.append(np.abs(desk.look() - plain).max())
    assert 0 < strength[0] < strength[1] < strength[2]


def test_a_key_can_be_changed_and_is_kept_for_this_reader_alone(room: ReadingRoom) -> None:
    for name in ("anna", "ben"):
        room.house.services.users.create(name, Role.READER)
    with desk_in(room, "anna") as desk:
        page = desk.page
        desk.press("?")
        page.click('[data-command="invert"].key')
        page.keyboard.press("f")
        assert "“Fit” had it and got the old key" in page.locator("#help-note").inner_text()
        page.keyboard.press("Escape")
        desk.open()
        desk.press("f")
        assert "Inverted" in desk.hud("top-left")
        desk.press("f", "+", "i")  # i is Fit now
        assert zoom_of(desk) == pytest.approx(desk.fit_scale(), abs=0.01)
        assert "(f)" in (page.locator('.rail [data-command="invert"]').get_attribute("title") or "")
        # another reader in the same browser has the usual keys
        cookies = room.context("ben").cookies()
        page.context.add_cookies(cookies)  # type: ignore[arg-type]
        desk.open()
        desk.press("i")
        assert "Inverted" in desk.hud("top-left")


def test_help_lists_every_command_with_a_key(desk: Desk) -> None:
    desk.press("?")
    help_text = desk.page.locator("#help").inner_text()
    for words in (
        "Wipe",
        "Measure a length",
        "Fracture review",
        "Accept what is suggested",
        "Lungs",
        "Wheel",
    ):
        assert words in help_text
    desk.page.keyboard.press("Escape")
    assert desk.page.locator("#help").is_hidden()


def test_a_field_takes_what_is_typed(desk: Desk) -> None:
    desk.page.click("#comment-all")
    desk.page.keyboard.type("i v r")
    assert desk.page.input_value("#comment-all") == "i v r"
    assert "Inverted" not in desk.hud("top-left")
    desk.page.fill("#comment-all", "")


def test_nothing_hangs_over_the_edge_of_small_windows(desk: Desk) -> None:
    for width, height in ((1280, 720), (1080, 1920), (800, 900), (390, 800), (640, 360)):
        desk.page.set_viewport_size({"width": width, "height": height})
        overflow = desk.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{overflow} px too wide at {width} x {height}"


def test_a_dense_screen_shows_film_pixels_on_its_own_pixels(room: ReadingRoom) -> None:
    context = room.browser.new_context(viewport={"width": 1280, "height": 720}, device_scale_factor=2)
    desk = Desk(context.new_page(), room)
    desk.open()
    x, y = desk.place_of(ROWS * 0.25, COLUMNS * 0.75)
    desk.point(x, y)
    under = desk.hud("bottom-right").split()
    assert (int(under[3]), int(under[5])) == pytest.approx((ROWS * 0.25, COLUMNS * 0.75), abs=1)
    desk.press("z")
    assert zoom_of(desk) == 0.5  # of a CSS pixel, which is two of the screen's
    context.close()
    assert desk.complaints == []


def test_a_large_film_is_seen_small_before_it_is_here(room: ReadingRoom) -> None:
    rows, columns = 1_500, 1_301
    ramp = np.linspace(2_000, 62_000, columns)[None, :].repeat(rows, axis=0).astype(np.uint16)
    film = cv2.imencode(".png", ramp)[1].tobytes()
    room.house.take("large.png", film, "side.png", film_png(9))
    room.house.wait()
    context = room.context()
    desk = Desk(context.new_page(), room)
    held: list[Any] = []
    desk.page.route("**/pixels/film.u16", lambda route: held.append(route))
    desk.page.goto(f"{room.address}/studies/large")
    desk.page.wait_for_selector("#viewer[data-drawn]")
    desk.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert "Loading full resolution" in desk.hud("top-left")
    first = desk.look()
    held[0].continue_()
    desk.settle()
    assert "Loading" not in desk.hud("top-left")
    assert np.percentile(np.abs(desk.look() - first), 99) <= 3
    context.close()
    assert desk.complaints == []
