"""One server and one browser for a module of viewer tests, and a reader's desk in front of them."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import session
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.jobs_fakes import COLUMNS, ROWS, film_png
from tests.web_house import House, open_house
from web.identity import begin_session

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
FULL = 65_535.0
Picture = np.ndarray[Any, np.dtype[np.float64]]

needs_browser = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="no Chromium found; install it with 'apt-get install chromium'",
)


@dataclass
class ReadingRoom:
    """A service with one study, ``chest``: frontal and lateral ramps (``tests.jobs_fakes``)."""

    house: House
    address: str
    browser: Browser

    def context(self, user: str | None = None) -> BrowserContext:
        """A browser of its own; ``user`` is signed in there."""
        context = self.browser.new_context(viewport={"width": 1280, "height": 720})
        context.set_default_timeout(20_000)
        if user is not None:
            app = self.house.app
            account = self.house.services.users.get(user)
            with app.test_request_context():
                begin_session(account)
                signer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
                value = signer.dumps(dict(session))
            name = app.config["SESSION_COOKIE_NAME"]
            context.add_cookies([{"name": name, "value": value, "url": self.address}])
        return context


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@contextmanager
def open_reading_room(folder: Path) -> Iterator[ReadingRoom]:
    """The service on ``folder`` and a browser."""
    with (
        open_house(folder / "data", max_upload_mb=64) as house,
        house.open_for_browsers() as address,
        open_browser() as browser,
    ):
        house.take("chest.png", film_png(1), "side.png", film_png(2))
        house.wait()
        yield ReadingRoom(house, address, browser)


@dataclass
class Desk:
    """One reader's page, and everything the browser complained about."""

    page: Page
    room: ReadingRoom
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        def note(message: ConsoleMessage) -> None:
            if message.type == "error" or "Content Security Policy" in message.text:
                self.complaints.append(message.text)

        self.page.on("console", note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, study: str = "chest", query: str = "?renderer=webgl") -> None:
        """The study's page, with all its layers loaded; drawn by WebGL, though it is computed here."""
        self.page.goto(f"{self.room.address}/studies/{study}{query}")
        self.page.wait_for_selector('#viewer[data-layers="all"]')
        self.settle()

    def fresh(self) -> None:
        """As the page was when it was opened, without opening it again: measurements and all."""
        self.page.set_viewport_size({"width": 1280, "height": 720})
        self.page.mouse.move(1270, 710)
        self.page.locator("#viewer").focus()
        while self.page.locator("#drawn li").filter(has_text="Remove").count():
            self.press("Backspace")
        self.press("0")

    def settle(self) -> None:
        """Until what was asked for is here and the frame that shows it was drawn."""
        self.page.wait_for_selector('#viewer[data-state="ready"]:not([data-overlay="loading"])')
        self.page.evaluate(TWO_FRAMES)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.settle()

    def click(self, command: str) -> None:
        """Press a tool's button."""
        self.page.click(f'.rail [data-command="{command}"], .context-bar [data-command="{command}"]:visible')
        self.settle()

    def state(self, name: str) -> str:
        return self.page.locator("#viewer").get_attribute(f"data-{name}") or ""

    def hud(self, corner: str, view: str = "frontal") -> str:
        return self.page.locator(f'.pane[data-view="{view}"] .{corner}').first.text_content() or ""

    def box(self, view: str = "frontal", index: int = 0) -> dict[str, float]:
        """Where a view's pane lies on the page."""
        box = self.page.locator(f'.pane[data-view="{view}"]').nth(index).bounding_box()
        assert box is not None
        return dict(box)

    def look(self, view: str = "frontal", index: int = 0) -> Picture:
        """A pane as it is seen, without captions: (H, W, 3)."""
        self.page.evaluate(
            "hidden => document.querySelectorAll('.hud').forEach(hud => { hud.hidden = hidden; })", True
        )
        picture = Image.open(io.BytesIO(self.page.screenshot(clip=self.box(view, index)))).convert("RGB")  # type: ignore[arg-type]
        self.page.evaluate(
            "hidden => document.querySelectorAll('.hud').forEach(hud => { hud.hidden = hidden; })", False
        )
        return np.asarray(picture).astype(float)

    def fit_scale(self, view: str = "frontal", rows: int = ROWS, columns: int = COLUMNS) -> float:
        """Screen pixels per film pixel of a fitted film, from the geometry alone."""
        box = self.box(view)
        return min(box["width"] / columns, box["height"] / rows) * (1 - FIT_MARGIN)

    def place_of(self, row: float, column: float, view: str = "frontal") -> tuple[float, float]:
        """Position (x, y) in the pane of a film position while the film is fitted."""
        box, scale = self.box(view), self.fit_scale(view)
        left, top = (box["width"] - COLUMNS * scale) / 2, (box["height"] - ROWS * scale) / 2
        return left + column * scale, top + row * scale

    def drag(self, start: tuple[float, float], end: tuple[float, float], view: str = "frontal") -> None:
        """Press at ``start``, release at ``end``, both (x, y) in the pane."""
        box, mouse = self.box(view), self.page.mouse
        mouse.move(box["x"] + start[0], box["y"] + start[1])
        mouse.down()
        mouse.move(box["x"] + (start[0] + end[0]) / 2, box["y"] + (start[1] + end[1]) / 2)
        mouse.move(box["x"] + end[0], box["y"] + end[1])
        mouse.up()
        self.settle()

    def point(self, x: float, y: float, view: str = "frontal") -> None:
        box = self.box(view)
        self.page.mouse.move(box["x"] + x, box["y"] + y)
        self.page.evaluate(TWO_FRAMES)


@contextmanager
def desk_in(room: ReadingRoom, user: str | None = None, study: str = "chest") -> Iterator[Desk]:
    """A reader in front of the study; the browser must not complain of anything."""
    context = room.context(user)
    desk = Desk(context.new_page(), room)
    desk.open(study)
    yield desk
    context.close()
    assert desk.complaints == []


@pytest.fixture(scope="module")
def opened(room: ReadingRoom) -> Iterator[Desk]:
    """Of a reader whom nobody knows; for all tests of a file that has a fixture ``room``."""
    with desk_in(room) as desk:
        yield desk


@pytest.fixture
def desk(opened: Desk) -> Desk:
    """The same page, as it was when it was opened."""
    opened.fresh()
    return opened


def grey_at(picture: Picture, x: float, y: float) -> float:
    """Mean grey of the 5 x 5 pixels around a position."""
    row, column = round(y), round(x)
    return float(picture[row - 2 : row + 3, column - 2 : column + 3].mean())


def colour_of(picture: Picture) -> Picture:
    """How far from grey each pixel is: (H, W)."""
    spread: Picture = picture.max(axis=2) - picture.min(axis=2)
    return spread
