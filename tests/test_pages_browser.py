"""The pages around the viewer in a real browser: by mouse and by key, kept up to date, open to everybody.

One server and one browser serve the whole module. Whatever the browser complains about, a broken content
policy above all, fails the test.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from suite.accounts.principal import LOCAL, Role
from suite.jobs.models import Job
from suite.records.reviews import Verdict
from tests.jobs_fakes import film_png
from tests.pages_house import pseudonym
from tests.test_web_browser import ARGUMENTS, CHROMIUM
from tests.web_house import House, open_house
from web.research import playground

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
RUN = "c" * 32
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NAME = "<img src=x onerror=document.title=1>.png"
LISTEN = """document.addEventListener('securitypolicyviolation', event =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"""

FOLDERS = """async () => {
    const { filesOf } = await import('/static/folders.js');
    const file = name => ({ name, isFile: true, file: done => done(new File(['x'], name)) });
    const folder = (name, ...portions) => ({ name, isFile: false, createReader: () => ({
        readEntries: done => done(portions.shift() ?? []) }) });
    const inner = folder('inner', [file('3.dcm')]);
    const outer = folder('outer', [file('1.dcm'), file('.hidden')], [file('2.dcm'), inner]);
    const entries = [outer, folder('.git', [file('x')]), file('alone.dcm')];
    const dropped = { items: entries.map(entry => ({ webkitGetAsEntry: () => entry })), files: [] };
    return (await filesOf(dropped)).map(one => one.name);
}"""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="no Chromium found; install it with 'apt-get install chromium'",
)
needs_axe = pytest.mark.skipif(
    not AXE.is_file() and os.environ.get("CI") != "true",
    reason="axe-core is not installed; run 'npm ci --ignore-scripts' in tests/",
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Three studies that were read, verdicts, a draft, an ablation, users."""
    with open_house(tmp_path_factory.mktemp("browser"), sign_in=True, max_upload_mb=2) as opened:
        for name, role in (("ada", Role.READER), ("ben", Role.READER), ("root", Role.ADMIN)):
            opened.services.users.create(name, role)
        for number, name in enumerate(("one", "two", "three")):
            opened.take(f"{name}.png", film_png(number), "side.png", film_png(number + 10))
        opened.work()
        for name in ("one", "two"):
            opened.services.reviews.add(name, Verdict.ACCEPTED, LOCAL, finding="pleural_effusion")
        opened.services.reviews.add("one", Verdict.REJECTED, LOCAL, finding="consolidation")
        text = {"findings": "Effusion.", "impression": "1. Effusion."}
        opened.services.written.save("three", text, LOCAL, seen_version=0)
        folder = opened.settings.data / "ablations" / "phantoms"
        folder.mkdir(parents=True)
        (folder / "table.csv").write_text(
            "network,finding,auc,low,high,n,positives,seeds\n"
            "film,mean,0.71,0.66,0.76,200,,5\nfilm+bone,mean,0.74,0.69,0.79,200,,5\n"
        )
        _submit_run(opened)
        with pytest.MonkeyPatch.context() as patched:  # computing a phantom is tested elsewhere
            patched.setattr(playground, "expose", lambda wish: film_png(wish.patient))
            yield opened


def _submit_run(house: House) -> None:
    with house.services.database.write() as session:
        request = {"recipe": "lungs", "data": {"jsrt": "/films"}}
        progress = {"step": 3, "total": 12}
        session.add(
            Job(
                id=RUN,
                kind="training",
                queue="train",
                state="running",
                request=request,
                progress=progress,
                created_at=1.0,
                enqueued_at=1.0,
            )
        )
    folder = house.settings.data / "training" / RUN
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("epoch 1\n")


@pytest.fixture(scope="module")
def address(house: House) -> Iterator[str]:
    with house.open_for_browsers() as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@dataclass
class Desk:
    """One reader in front of a browser of their own."""

    page: Page
    address: str
    house: House
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)

    def row(self, study_id: str) -> Any:
        return self.page.locator(f"#study-{pseudonym(self.house, study_id)}")

    def forget_the_missing_page(self) -> None:
        """One of the pages is that of an address where there is nothing; browsers complain of the status."""
        self.complaints[:] = [text for text in self.complaints if "404" not in text]

    def focused_row(self) -> str:
        return str(self.page.evaluate("() => document.activeElement.closest('tr')?.id ?? ''"))


@pytest.fixture
def desk(browser: Browser, address: str, house: House) -> Iterator[Desk]:
    yield from _desk(browser, address, house, "root")


def _desk(browser: Browser, address: str, house: House, user: str) -> Iterator[Desk]:
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.add_init_script(LISTEN)
    desk = Desk(page, address, house)

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            desk.complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: desk.complaints.append(str(error)))
    desk.open(f"/enter/{house.services.links.create(user)}")
    yield desk
    context.close()
    assert desk.complaints == []


def payload(name: str, content: bytes) -> Any:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


class TestWorklist:
    def test_a_film_that_is_handed_in_appears_by_itself(self, desk: Desk) -> None:
        desk.open("/")
        bad = payload("notes.txt", b"hello")
        desk.page.set_input_files("#files", [payload(NAME, film_png(40)), bad])
        assert NAME in desk.page.locator(".tray-name").first.inner_text()
        desk.page.click("#tray-send")
        desk.page.wait_for_selector("#fates .fate.accepted")
        refused = desk.page.locator("#fates .fate.refused").inner_text()
        assert refused.split("\n") == [
            "notes.txt",
            "notes.txt: not a picture or DICOM file; export the film again.",
        ]
        assert "1 taken, 1 not taken" in desk.page.locator("#tray-note").inner_text()
        study = next(
            s for s in desk.house.services.catalogue.studies() if "onerror" in (s.frontal_name or "")
        )
        desk.page.wait_for_selector(f"#study-{study.display_id} .chip.abnormal")
        assert "onerror" not in desk.page.locator("#rows").inner_html()
        assert desk.page.title() == "Worklist · radsuite"

    def test_what_is_dropped_anywhere_lies_in_the_tray(self, desk: Desk) -> None:
        desk.open("/")
        desk.page.evaluate(
            "() => { const dropped = new DataTransfer();"
            " for (const name of ['a.dcm', 'b.zip']) dropped.items.add(new File(['x'], name));"
            " document.querySelector('h1').dispatchEvent("
            "   new DragEvent('drop', {dataTransfer: dropped, bubbles: true, cancelable: true})); }"
        )
        desk.page.locator(".tray-item").nth(1).wait_for()
        assert [text.split()[0][:5] for text in desk.page.locator(".tray-name").all_inner_texts()] == [
            "a.dcm",
            "b.zip",
        ]

    def test_a_folder_is_walked_to_its_ends(self, desk: Desk) -> None:
        """Browsers give a folder's entries in portions; hidden files and folders are passed over."""
        desk.open("/")
        names = desk.page.evaluate(FOLDERS)
        assert names == ["1.dcm", "2.dcm", "3.dcm", "alone.dcm"]

    def test_stages_are_shown_while_they_run(self, desk: Desk) -> None:
        seen: list[str] = []
        desk.open("/")

        shown = threading.Event()

        def look(stage: str) -> None:
            seen.append(stage)
            if stage == "bone":  # the worker waits until the page has shown it
                shown.wait(20)

        desk.house.analyzer.before = look
        desk.page.set_input_files("#files", [payload("slow.png", film_png(41))])
        desk.page.click("#tray-send")
        desk.page.wait_for_selector(".step.started:has-text('Separating bone')")
        assert desk.page.locator(".step.finished").count() == 2
        shown.set()
        desk.house.analyzer.before = None
        desk.page.wait_for_selector(f"#study-{pseudonym(desk.house, 'slow')} .chip.abnormal")
        assert seen[:3] == ["gate", "lungs", "bone"]

    def test_the_list_is_worked_by_keys_alone(self, desk: Desk) -> None:
        desk.open("/")
        page = desk.page
        page.keyboard.press("j")
        first = desk.focused_row()
        page.keyboard.press("j")
        second = desk.focused_row()
        assert first.startswith("study-")
        assert first != second
        page.keyboard.press("k")
        assert desk.focused_row() == first
        page.keyboard.press("a")
        page.wait_for_selector(f"#{first} .reader:has-text('You')")
        page.wait_for_function("id => document.activeElement.closest('tr')?.id === id", arg=first)
        page.keyboard.press("a")
        page.wait_for_selector(f"#{first} .reader-line:has-text('nobody yet')")
        page.keyboard.press("d")
        page.wait_for_selector(f"#{first}", state="detached")
        page.keyboard.press("4")
        page.wait_for_url("**/?show=done")
        page.keyboard.press("j")
        page.keyboard.press("d")
        page.wait_for_selector(f"#{first}", state="detached")
        page.keyboard.press("?")
        assert page.locator("#keys").is_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        assert page.evaluate("() => document.activeElement.id") == "search"

    def test_search_narrows_as_one_types(self, desk: Desk) -> None:
        desk.open("/?show=any")
        assert desk.page.locator("tbody tr").count() >= 3
        name = pseudonym(desk.house, "two")
        desk.page.fill("#search", name.lower())
        desk.page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 1")
        assert desk.row("two").is_visible()
        assert desk.page.url.endswith(f"q={name.lower()}&show=any") or "show=any" in desk.page.url
        desk.page.select_option("#triage", "normal")
        desk.page.wait_for_selector("#no-studies")

    def test_two_readers_see_what_the_other_takes(self, desk: Desk, browser: Browser, address: str) -> None:
        other = _desk(browser, address, desk.house, "ben")
        ben = next(other)
        desk.open("/")
        ben.open("/")
        ben.row("two").get_by_role("button", name=re.compile("Take")).click()
        desk.row("two").locator(".reader:has-text('ben')").wait_for()
        assert desk.row("two").get_by_role("button", name=re.compile("Take")).count() == 0
        ben.row("two").get_by_role("button", name=re.compile("Give back")).click()
        desk.row("two").get_by_role("button", name=re.compile("Take")).wait_for()
        assert next(other, None) is None

    def test_a_list_whose_session_has_ended_leads_to_the_door(
        self, desk: Desk, browser: Browser, address: str
    ) -> None:
        desk.house.services.users.create("carl", Role.READER)
        others = _desk(browser, address, desk.house, "carl")
        carl = next(others)
        carl.page.goto("about:blank")
        with carl.page.expect_response("**/studies/changes"):  # the list listens before the session ends
            carl.open("/")
        desk.house.services.users.change("carl", disabled=True)
        desk.house.services.worklist.assign("two", LOCAL, to=None)  # something changes, and the list asks
        carl.page.wait_for_selector("h1:has-text('Sign in')")
        assert next(others, None) is None


class TestReport:
    def test_from_the_list_to_a_signed_report_and_its_pdf(self, desk: Desk) -> None:
        name = pseudonym(desk.house, "one")
        desk.open("/?show=any")
        desk.row("one").get_by_role("link", name=re.compile("Report")).click()
        page = desk.page
        page.wait_for_url(f"**/studies/{name}/report")
        assert "Pleural effusion, left upper zone" in page.locator("#section-findings").input_value()
        page.fill("#section-indication", "Cough.")
        assert page.locator("#unsaved").inner_text() == "Not saved yet"
        page.click("#save")
        page.wait_for_selector(".chip.uncertain:has-text('draft')")
        page.check("#seen")
        page.click("#sign")
        page.wait_for_selector(".chip.normal:has-text('signed')")
        assert page.locator("#section-findings").count() == 0
        with page.expect_download() as loaded:
            page.click("#pdf")
        assert Path(loaded.value.path()).read_bytes().startswith(b"%PDF-1.")
        assert loaded.value.suggested_filename == f"{name}-report.pdf"


class TestResearch:
    def test_a_slider_makes_another_phantom(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[playground.Wish] = []

        def exposed(wish: playground.Wish) -> bytes:
            asked.append(wish)
            return film_png(len(asked))

        monkeypatch.setattr(playground, "expose", exposed)
        desk.open("/research/phantom")
        desk.page.select_option("#finding", "lung_lesion")
        desk.page.fill("#severity", "20")
        desk.page.fill("#kvp", "80")
        desk.page.wait_for_function("() => document.getElementById('phantom').src.includes('kvp=80')")
        assert desk.page.locator("#severity-value").inner_text() == "diameter 60 mm"
        assert (asked[-1].finding, asked[-1].severity, asked[-1].kvp) == ("lung_lesion", 20, 80)


PAGES = (
    "/login",
    "/",
    "/?show=done",
    "/studies/ONE",
    "/studies/TWO/report",
    "/studies/THREE/report",
    "/studies/ONE/objects",
    "/research",
    "/research/models/diagnosis",
    "/research/calibration",
    "/research/agreement",
    "/research/ablations",
    "/research/ablations/phantoms",
    "/research/runs",
    "/research/runs/RUN",
    "/research/phantom",
    "/people",
    "/people/audit",
    "/account",
    "/nothing",
)


def addresses(house: House, pages: tuple[str, ...]) -> list[str]:
    names = {name.upper(): pseudonym(house, name) for name in ("one", "two", "three")}
    named = [re.sub(r"(?<=/studies/)[A-Z]+", lambda found: names[found[0]], page) for page in pages]
    return [page.replace("RUN", RUN) for page in named]


@needs_axe
@pytest.mark.parametrize(
    ("theme", "rules"), [("dark", WCAG), ("light", ["color-contrast", "link-in-text-block"])]
)
def test_no_page_shuts_anybody_out(desk: Desk, theme: str, rules: list[str]) -> None:
    """axe-core's rules of WCAG 2.2 A and AA and its best practices; of the light theme, those on colour."""
    source = AXE.read_text("utf-8")
    if theme == "light":
        desk.open("/account")
        desk.page.click(".theme-form button")
        assert desk.page.locator("html").get_attribute("data-theme") == "light"
    found: dict[str, list[str]] = {}
    for path in addresses(desk.house, PAGES):
        desk.open(path)
        desk.page.evaluate(source)
        result = desk.page.evaluate(
            "async tags => (await axe.run({runOnly: tags})).violations.map("
            "one => `${one.id}: ${one.nodes.map(node => node.target.join(' ')).slice(0, 4).join(', ')}`)",
            rules,
        )
        if result:
            found[path] = result
    desk.forget_the_missing_page()
    assert found == {}, json.dumps(found, indent=1)


def test_nothing_hangs_over_the_edge(desk: Desk) -> None:
    """Also at 640 pixels, which is what a 1280 pixel screen has at 200 %."""
    wide: list[tuple[str, int, int]] = []
    for path in addresses(desk.house, PAGES):
        if path.startswith("/studies/") and path.count("/") == 2:
            continue  # the viewer has tests of its own
        desk.open(path)
        for width, height in ((1280, 720), (1080, 1920), (640, 360), (390, 800)):
            desk.page.set_viewport_size({"width": width, "height": height})
            overflow = desk.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
            if overflow > 0:
                wide.append((path, width, overflow))
    desk.forget_the_missing_page()
    assert wide == []


def test_the_intended_use_is_in_sight_everywhere(desk: Desk) -> None:
    for width, height in ((1280, 720), (390, 800)):
        desk.page.set_viewport_size({"width": width, "height": height})
        for path in ("/", "/people", "/research"):
            desk.open(path)
            notice = desk.page.get_by_text("Research use only. Not a medical device.")
            box = notice.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] < 130
            assert box["x"] + box["width"] <= width


def test_the_list_does_not_jump_while_it_loads(desk: Desk) -> None:
    """Cumulative layout shift, as the browser measures it: 0.1 is what web.dev calls good."""
    desk.page.add_init_script(
        "window.shift = 0; new PerformanceObserver(list => {"
        " for (const entry of list.getEntries()) window.shift += entry.value; })"
        ".observe({type: 'layout-shift', buffered: true});"
    )
    for path in ("/?show=any", "/research", "/people"):
        desk.open(path)
        desk.page.wait_for_load_state("load")
        desk.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        assert desk.page.evaluate("() => window.shift") < 0.05


def test_the_keyboard_reaches_everything_in_its_order(desk: Desk) -> None:
    """Tab goes through the page from top to bottom, and what has the focus is seen."""
    desk.open("/people")
    reached: list[str] = []
    for _ in range(40):
        desk.page.keyboard.press("Tab")
        told = desk.page.evaluate(
            "() => { const e = document.activeElement; const style = getComputedStyle(e);"
            " return [e.tagName + (e.id || e.textContent.trim().slice(0, 20)), style.outlineStyle]; }"
        )
        if told[0].startswith("BODY"):
            break
        assert told[1] != "none", told[0]
        reached.append(told[0])
    assert reached[0].startswith("ASkip")
    assert any(name.startswith("INPUTnew-name") for name in reached)
    assert reached.index("INPUTnew-name") > next(i for i, n in enumerate(reached) if "One-time" in n)
