"""Report and research in a real browser, and what holds on every page: it shuts nobody out."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests import pages_desk
from tests.jobs_fakes import film_png
from tests.pages_desk import RUN, Desk
from tests.pages_house import pseudonym
from tests.viewer_desk import needs_browser
from tests.web_house import House
from web.measurement_rows import WORDS
from web.research import playground

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

pytestmark = needs_browser
room, desk = pages_desk.room, pages_desk.desk

needs_axe = pytest.mark.skipif(
    not AXE.is_file() and os.environ.get("CI") != "true",
    reason="axe-core is not installed; run 'npm ci --ignore-scripts' in tests/",
)


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
        assert desk.page.locator("#side-left").is_disabled(), "there is no finding to have a side"
        assert desk.page.locator("#outline").is_disabled()
        desk.page.select_option("#finding", "lung_lesion")
        assert desk.page.locator("#side-left").is_enabled()
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


def test_no_number_and_no_link_beside_the_film_is_cut_off(desk: Desk) -> None:
    """The panel scrolls by itself, so that what hangs over its edge does not widen the page."""
    cut: list[tuple[int, str]] = []
    for width, height in ((1440, 900), (1024, 768), (390, 844)):
        desk.page.set_viewport_size({"width": width, "height": height})
        desk.open(addresses(desk.house, ("/studies/ONE",))[0])
        assert desk.page.locator("#measurements dd").count() > 0
        longest = max((name for name, _ in WORDS.values()), key=len)
        desk.page.evaluate(
            "name => { for (const one of document.querySelectorAll('#measurements dt'))"
            " one.textContent = name; }",
            longest,
        )
        cut += [
            (width, words)
            for words in desk.page.evaluate(
                "() => [...document.querySelectorAll("
                "'#measurements dd, .panel-foot > *, .masthead-context > *')].filter(one => {"
                "  const box = one.getBoundingClientRect();"
                "  const frame = one.closest('.panel, .masthead-context').getBoundingClientRect();"
                "  return box.width && box.right > frame.right + 1"
                "    || one.tagName === 'DD' && one.scrollWidth > one.clientWidth + 1;"
                "}).map(one => one.textContent.trim())"
            )
        ]
    assert cut == []


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


def test_the_keyboard_begins_at_the_top_of_a_study_and_reaches_its_films_by_the_skip_link(desk: Desk) -> None:
    """Films that have arrived take the focus from nobody; the viewer's keys work wherever it is."""
    desk.open(f"/studies/{pseudonym(desk.house, 'one')}")
    page = desk.page
    page.wait_for_selector('#viewer[data-layers="all"]')
    page.keyboard.press("i")
    page.wait_for_selector('.rail [data-command="invert"][aria-pressed="true"]')
    reached = []
    for key in ("Tab", "Enter", "Tab"):
        page.keyboard.press(key)
        reached.append(page.evaluate("() => document.activeElement.id || document.activeElement.className"))
    assert reached == ["skip", "main", "viewer"]
