"""One reader's whole way in a real browser: a DICOM pair handed in, read, judged, signed, taken home."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pypdf
import pytest
from playwright.sync_api import Page

from suite import intake
from suite.accounts.principal import Role
from suite.jobs.submission import Submission
from suite.jobs.worker import load_study
from tests.dicom_network_house import as_bytes, film_pair, needs
from tests.pages_desk import LISTEN, payload
from tests.viewer_desk import needs_browser, open_browser
from tests.web_house import House, open_house
from web import create_app

pytestmark = needs_browser


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house with the real intake and the real reading of films; only the networks are fake."""
    monkeypatch.setattr("tests.web_house.load_study", load_study)
    with open_house(tmp_path, sign_in=True) as opened:
        parts = opened.services
        submission = Submission(parts.database, parts.store, opened.sent.put, collect=intake.collect)
        opened.services = replace(parts, submission=submission)
        opened.app = create_app(opened.settings, services=opened.services)
        opened.services.users.create("ada", Role.READER)
        yield opened


def test_from_a_dicom_pair_to_a_signed_report_and_a_valid_object(house: House, tmp_path: Path) -> None:
    complaints: list[str] = []
    with open_browser() as browser, house.open_for_browsers() as address:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(40_000)
        page.add_init_script(LISTEN)
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/enter/{house.services.links.create('ada')}")
        name = _hand_in(page)
        _judge(page)
        _sign(page)
        report = _download(page, "#pdf")
        page.click("#objects")
        objects = page.locator("tbody a")
        names = [objects.nth(index).inner_text() for index in range(objects.count())]
        found = {one: _download(page, f"a:text-is('{one}')") for one in names}
    assert complaints == []
    text = re.sub(
        r"\s+", " ", "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(report)).pages)
    )
    assert name in text
    assert "Pleural effusion, left upper zone" in text
    assert "Signed by ada" in text
    assert "Nobody" not in text  # the patient's name
    assert "DRAFT" not in text
    datasets = {one: pydicom.dcmread(io.BytesIO(content)) for one, content in found.items()}
    written = next(one for one in datasets.values() if one.SOPClassUID.name == "Comprehensive SR Storage")
    said = str(written)
    assert "accepted" in said.lower()
    assert "ada" in said
    _validate(found, tmp_path)


def _hand_in(page: Page) -> str:
    """Both films at once; they find each other by their headers. Gives the study's pseudonym."""
    frontal, lateral = film_pair()
    films = [payload("a.dcm", as_bytes(frontal)), payload("b.dcm", as_bytes(lateral))]
    page.set_input_files("#files", films)
    page.click("#tray-send")
    page.wait_for_selector("td.cell-triage .chip.abnormal")
    assert page.locator("tbody tr").count() == 1
    assert "Frontal and lateral" in page.locator("tbody tr").inner_text()
    name = page.locator(".study-link").inner_text()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector('#viewer[data-state="ready"]')
    return name


def _judge(page: Page) -> None:
    page.click('.finding[data-code="pleural_effusion"]')
    row = page.locator('.finding-row[data-code="pleural_effusion"]')
    row.locator("button.accept").click()
    row.locator(".verdict:has-text('accepted')").wait_for()


def _sign(page: Page) -> None:
    page.click(".masthead-context a:text-is('Report')")
    assert "Pleural effusion, left upper zone" in page.locator("#section-findings").input_value()
    page.check("#seen")
    page.click("#sign")
    page.wait_for_selector(".chip.normal:has-text('signed')")


def _download(page: Page, selector: str) -> bytes:
    with page.expect_download() as loaded:
        page.click(selector)
    return Path(loaded.value.path()).read_bytes()


def _validate(found: dict[str, bytes], folder: Path) -> None:
    """No error in dciodvfy's eyes, which knows the standard's tables."""
    needs("dciodvfy", "dicom3tools")
    for name, content in found.items():
        path = folder / name
        path.write_bytes(content)
        done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False, timeout=60)
        lines = (done.stdout + done.stderr).splitlines()
        assert lines, name  # it names at least what kind of object it is
        assert [line for line in lines if line.startswith("Error")] == [], name
