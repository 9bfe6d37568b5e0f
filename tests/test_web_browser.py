"""The pages around the viewer in a real browser: upload, worklist, refusals, policy kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.jobs_fakes import film_png
from tests.viewer_desk import TWO_FRAMES, needs_browser, open_browser
from tests.web_house import House, open_house

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


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


def test_an_upload_becomes_a_study_that_can_be_looked_at(desk: Desk) -> None:
    page = desk.page
    desk.hand_in(("chest.png", film_png(1)))
    with page.expect_file_chooser() as chooser:
        page.click(".lateral-slot")
    chooser.value.set_files([{"name": "side.png", "mimeType": "image/png", "buffer": film_png(2)}])
    page.click("#tray-send")
    page.wait_for_selector("td.cell-triage .chip.abnormal")
    assert "Frontal and lateral" in page.locator("tbody tr").inner_text()
    page.click("th.cell-study a")
    desk.settle()
    assert page.url.endswith(f"/studies/{desk.house.services.catalogue.studies()[0].display_id}")
    assert page.locator("#viewer").get_attribute("data-renderer") in ("webgl", "canvas")
    assert page.locator("#triage").inner_text().split()[:2] == ["Triage", "Abnormal"]


def test_a_wrong_file_says_so_in_the_tray_and_a_good_one_beside_it_is_read(desk: Desk) -> None:
    desk.hand_in(("letter.png", b"Dear colleague"), ("chest.png", film_png()))
    desk.page.click("#tray-send")
    fate = desk.page.locator("#fates .fate.refused span")
    fate.wait_for()
    assert fate.inner_text() == "letter.png: not a picture or DICOM file; export the film again."
    desk.page.wait_for_selector("td.cell-triage .chip.abnormal")


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
