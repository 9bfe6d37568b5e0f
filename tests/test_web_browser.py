"""The pages in a real browser: from the upload to the heatmap, by mouse and by key, policy kept."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.jobs_fakes import COLUMNS, HOT_COLUMN, HOT_ROW, ROWS, film_png
from tests.web_house import House, open_house

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
FIT_MARGIN = 0.02  # what the viewer leaves around a fitted film
Picture = np.ndarray[Any, np.dtype[np.uint8]]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="no Chromium found; install it with 'apt-get install chromium'",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@dataclass
class Desk:
    """One reader: a page, where it is served, and everything the browser complained about."""

    page: Page
    address: str
    house: House
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        def note(message: ConsoleMessage) -> None:
            if message.type == "error" or "Content Security Policy" in message.text:
                self.complaints.append(message.text)

        self.page.on("console", note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def hand_in(self, *files: tuple[str, bytes]) -> None:
        self.page.goto(self.address)
        payloads = [{"name": name, "mimeType": "image/png", "buffer": content} for name, content in files]
        self.page.set_input_files("#files", payloads)  # type: ignore[arg-type]

    def open_study(self, study: str, query: str = "") -> None:
        self.page.goto(f"{self.address}/studies/{study}{query}")
        self.settle()

    def settle(self) -> None:
        """Until the layer is there and the frame that shows it was drawn."""
        self.page.wait_for_selector('#viewer[data-state="ready"]')
        self.page.evaluate(TWO_FRAMES)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.settle()

    def film(self) -> Picture:
        """The stage as it is seen, without captions: (H, W, 3)."""
        self.page.evaluate("() => document.querySelectorAll('.hud').forEach(hud => { hud.hidden = true; })")
        picture = Image.open(io.BytesIO(self.page.locator("#stage").screenshot())).convert("RGB")
        return np.asarray(picture)

    def place_of(self, row: float, column: float) -> tuple[float, float]:
        """Stage position (x, y) of a film position while the film is fitted, from the geometry alone."""
        box = self.page.locator("#stage").bounding_box()
        assert box is not None
        scale = min(box["width"] / COLUMNS, box["height"] / ROWS) * (1 - FIT_MARGIN)
        left, top = (box["width"] - COLUMNS * scale) / 2, (box["height"] - ROWS * scale) / 2
        return left + column * scale, top + row * scale


@pytest.fixture
def desk(browser: Browser, tmp_path: Path) -> Iterator[Desk]:
    with open_house(tmp_path / "data", max_upload_mb=2) as house, house.open_for_browsers() as address:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(20_000)
        desk = Desk(page, address, house)
        desk.listen()
        yield desk
        page.close()
        assert desk.complaints == []


@pytest.fixture
def reader(desk: Desk) -> Desk:
    """A reader in front of a study of two views that was read."""
    desk.house.take("chest.png", film_png(1), "side.png", film_png(2))
    desk.house.wait()
    desk.open_study("chest")
    return desk


def grey_at(picture: Picture, x: float, y: float) -> float:
    """Mean grey of the 5 x 5 pixels around a stage position."""
    row, column = round(y), round(x)
    return float(picture[row - 2 : row + 3, column - 2 : column + 3].mean())


def test_an_upload_becomes_a_study_that_can_be_looked_at(desk: Desk) -> None:
    page = desk.page
    desk.hand_in(("chest.png", film_png(1)))
    with page.expect_file_chooser() as chooser:
        page.click(".lateral-slot")
    chooser.value.set_files([{"name": "side.png", "mimeType": "image/png", "buffer": film_png(2)}])
    page.click("#tray-send")
    page.wait_for_selector("#study-chest .chip.abnormal")
    assert "Frontal and lateral" in page.locator("#study-chest").inner_text()
    page.click("#study-chest a")
    desk.settle()
    assert page.url.endswith("/studies/chest")
    assert page.locator("#viewer").get_attribute("data-renderer") == "webgl"
    assert page.locator("#triage").inner_text().split()[:2] == ["Triage", "Abnormal"]


def test_the_film_is_shown_with_its_own_greys_where_it_belongs(reader: Desk) -> None:
    picture = reader.film()
    for share in (0.1, 0.5, 0.9):  # the film is a ramp from 2000 on the left to 62000 on the right
        x, y = reader.place_of(ROWS / 2, COLUMNS * share)
        expected = (2_000 + 60_000 * share) / 65_535 * 255
        assert grey_at(picture, x, y) == pytest.approx(expected, abs=3)
    x, _ = reader.place_of(0, 0)
    assert grey_at(picture, x / 2, picture.shape[0] / 2) == 0  # beside the film


def test_dragging_changes_window_and_level_as_the_caption_says(reader: Desk) -> None:
    page = reader.page
    before = reader.film()
    box = page.locator("#stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 150, y)
    page.mouse.up()
    reader.settle()
    narrow = reader.film()
    left, right = reader.place_of(ROWS / 2, COLUMNS * 0.3), reader.place_of(ROWS / 2, COLUMNS * 0.7)
    contrast = [grey_at(picture, *right) - grey_at(picture, *left) for picture in (before, narrow)]
    assert contrast[1] > contrast[0] + 20
    caption = page.locator("#hud-window").text_content() or ""
    width = float(caption.split()[1])
    assert width < 100
    page.mouse.down()
    page.mouse.move(x - 150, y + 80)
    page.mouse.up()
    reader.settle()
    middle = reader.place_of(ROWS / 2, COLUMNS / 2)
    assert grey_at(reader.film(), *middle) < grey_at(narrow, *middle) - 20
    reader.press("r")
    np.testing.assert_allclose(reader.film().astype(int), before.astype(int), atol=1)


def test_inverting_mirrors_every_grey(reader: Desk) -> None:
    x, y = reader.place_of(ROWS / 2, COLUMNS * 0.25)
    before = grey_at(reader.film(), x, y)
    reader.press("i")
    assert grey_at(reader.film(), x, y) == pytest.approx(255 - before, abs=1.5)


def test_every_layer_has_its_key_and_its_own_greys(reader: Desk) -> None:
    pictures = {}
    for key, layer in (("1", "film"), ("2", "bone_suppressed"), ("3", "bone_subtracted"), ("4", "residual")):
        reader.press(key)
        assert reader.page.locator("#viewer").get_attribute("data-layer") == layer
        button = reader.page.locator(f'[data-layer="{layer}"].segments, .segments [data-layer="{layer}"]')
        assert button.get_attribute("aria-pressed") == "true"
        pictures[layer] = reader.film()
    # 40000 (every fourth row 48000) of 65535, in the film's own window
    x, y = reader.place_of(ROWS / 2, COLUMNS / 2)
    reader.press("2")
    whole = pictures["bone_suppressed"][round(y) - 40 : round(y) + 40, round(x)].mean()
    assert 40_000 / 65_535 * 255 - 3 < whole < 48_000 / 65_535 * 255 + 3
    assert not np.array_equal(pictures["bone_subtracted"], pictures["residual"])


def test_the_lung_outline_lies_on_the_masks_border(reader: Desk) -> None:
    reader.press("o")
    picture = reader.film().astype(int)
    colourful = picture.max(axis=2) - picture.min(axis=2)
    for column in (COLUMNS // 8, COLUMNS * 3 // 8, COLUMNS * 5 // 8, COLUMNS * 7 // 8):
        x, y = reader.place_of(ROWS / 2, column)
        assert colourful[round(y), round(x) - 2 : round(x) + 3].max() > 40
        assert colourful[round(y), round(x) + 8 : round(x) + 16].max() == 0


def hot_centre(picture: Picture, plain: Picture) -> tuple[float, float]:
    """Centre (x, y) of what a heatmap of one spot added, boxes around it left out."""
    added = np.abs(picture.astype(int) - plain.astype(int)).sum(axis=2)
    rows, columns = np.nonzero(added > 0.8 * added.max())
    return float(columns.mean() + 0.5), float(rows.mean() + 0.5)


def test_a_hot_pixel_appears_where_it_was_planted_also_when_zoomed(reader: Desk) -> None:
    page = reader.page
    plain = reader.film()
    page.click('.finding[data-code="edema"]')
    reader.settle()
    assert hot_centre(reader.film(), plain) == pytest.approx(reader.place_of(HOT_ROW, HOT_COLUMN), abs=1.5)
    page.keyboard.press("h")
    reader.settle()
    np.testing.assert_array_equal(reader.film(), plain)

    # zoomed by the wheel with the pointer on the spot: the spot stays under the pointer
    x, y = reader.place_of(HOT_ROW, HOT_COLUMN)
    box = page.locator("#stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.wheel(0, -600)
    reader.settle()
    plain = reader.film()
    reader.press("h")
    assert hot_centre(reader.film(), plain) == pytest.approx((x, y), abs=4)
    assert float((page.locator("#hud-window").text_content() or "").split()[-2]) > 250


def test_opacity_fades_the_heatmap(reader: Desk) -> None:
    page = reader.page
    x, y = reader.place_of(HOT_ROW, HOT_COLUMN)
    plain = grey_at(reader.film(), x, y)
    page.click('.finding[data-code="edema"]')
    strength = []
    for value in ("10", "50", "100"):
        page.locator("#opacity").fill(value)
        reader.settle()
        strength.append(abs(grey_at(reader.film(), x, y) - plain))
    assert 0 < strength[0] < strength[1] < strength[2]
    assert page.locator("#opacity-value").inner_text() == "100 %"


def test_keys_step_through_findings_and_views(reader: Desk) -> None:
    page = reader.page
    viewer = page.locator("#viewer")
    reader.press("j")
    assert viewer.get_attribute("data-finding") == "pleural_effusion"
    reader.press("j")
    assert viewer.get_attribute("data-finding") == "consolidation"
    reader.press("k")
    assert viewer.get_attribute("data-finding") == "pleural_effusion"
    reader.press("l")
    page.wait_for_selector('#viewer[data-view="lateral"]')
    assert "no heatmap in this view" in (page.locator("#hud-finding").text_content() or "")
    assert page.locator('.segments [data-layer="residual"]').is_hidden()
    reader.press("l")
    page.wait_for_selector('#viewer[data-view="frontal"]')
    page.keyboard.press("?")
    assert "Lung outline" in page.locator("#help").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()


def test_the_canvas_fallback_shows_what_webgl_shows(reader: Desk) -> None:
    pictures = {}
    for renderer in ("webgl", "canvas"):
        reader.open_study("chest", f"?renderer={renderer}")
        assert reader.page.locator("#viewer").get_attribute("data-renderer") == renderer
        pictures[renderer, "whole"] = reader.film().astype(int)
        reader.page.keyboard.press("i")
        reader.page.keyboard.press("Shift+ArrowLeft")
        reader.page.keyboard.press("Shift+ArrowDown")
        reader.press("+")
        pictures[renderer, "windowed"] = reader.film().astype(int)
    for state in ("whole", "windowed"):
        difference = np.abs(pictures["webgl", state] - pictures["canvas", state]).max(axis=2)
        inner = difference[60:-60]
        assert np.percentile(inner, 99) <= 2  # the film's edges may fall on either side of a screen pixel
        assert pictures["webgl", state].std() > 30


def test_a_wrong_file_says_so_in_the_tray_and_a_good_one_beside_it_is_read(desk: Desk) -> None:
    desk.hand_in(("letter.png", b"Dear colleague"), ("chest.png", film_png()))
    desk.page.click("#tray-send")
    fate = desk.page.locator(".fate-line.refused")
    fate.wait_for()
    assert fate.inner_text() == "letter.png: not a picture or DICOM file; export the film again."
    desk.page.wait_for_selector("#study-chest .chip.abnormal")


def test_too_much_at_once_is_said_before_it_is_sent(desk: Desk) -> None:
    desk.hand_in(("large.png", bytes(2_500_000)))
    assert "one upload may hold 2 MB" in desk.page.locator("#tray-note").inner_text()
    assert desk.page.locator("#tray-send").is_disabled()


def test_a_name_that_is_a_script_stays_a_name(desk: Desk) -> None:
    name = "<img src=x onerror=document.title=1>.png"
    desk.hand_in((name, film_png()))
    assert name in desk.page.locator(".tray-name").inner_text()
    desk.page.click("#tray-send")
    desk.page.wait_for_selector("td.cell-triage .chip")
    desk.page.click("th.cell-study a")
    desk.settle()
    assert name in desk.page.locator("#provenance").inner_text()
    assert desk.page.title() != "1"


def test_a_refused_film_is_overruled_with_one_click(desk: Desk) -> None:
    desk.house.analyzer.accepted = False
    desk.hand_in(("knee.png", film_png()))
    desk.page.click("#tray-send")
    desk.page.wait_for_selector(".chip.refused")
    desk.open_study("knee")
    desk.page.click("#override")
    desk.page.wait_for_selector("#triage")
    assert "Read against the gate's advice" in desk.page.locator("#gate").inner_text()


def test_nothing_hangs_over_the_edge_of_small_windows(reader: Desk) -> None:
    for width, height in ((1280, 720), (1080, 1920), (800, 900), (390, 800)):
        reader.page.set_viewport_size({"width": width, "height": height})
        overflow = reader.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{overflow} px too wide at {width} x {height}"
