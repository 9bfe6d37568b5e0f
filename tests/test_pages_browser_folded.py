"""Pages that fold what is much, in a real browser: cards of networks, and every page's head on a phone."""

from __future__ import annotations

import pytest

from tests import pages_desk
from tests.pages_desk import Desk
from tests.pages_house import pseudonym
from tests.viewer_desk import needs_browser

pytestmark = needs_browser
room, desk = pages_desk.room, pages_desk.desk

CARD = "/research/models/diagnosis"
OPEN = "() => [...document.querySelectorAll('.figure-group[open]')].map(one => one.id)"


class TestCard:
    def test_the_longest_card_is_a_few_screens_long(self, desk: Desk) -> None:
        """It was 13 900 pixels."""
        desk.open(CARD)
        assert desk.page.evaluate("() => document.documentElement.scrollHeight") < 4 * 720

    def test_a_link_to_a_figure_opens_what_it_lies_in(self, desk: Desk) -> None:
        desk.open(f"{CARD}#figure-phantom_ece_edema")
        desk.page.wait_for_function(f"() => ({OPEN})().includes('figures-calibration-phantom')")
        row = desk.page.locator("#figure-phantom_ece_edema")
        assert row.is_visible()
        box = row.bounding_box()
        assert box is not None
        assert 0 <= box["y"] < 720

    def test_the_keyboard_opens_and_closes_a_group(self, desk: Desk) -> None:
        desk.open(CARD)
        group = desk.page.locator("#figures-localisation-phantom")
        group.locator("summary").focus()
        for key, is_open in (("Enter", True), ("Space", False), ("Space", True)):
            desk.page.keyboard.press(key)
            assert ("figures-localisation-phantom" in desk.page.evaluate(OPEN)) is is_open
        assert group.locator("table").is_visible()

    def test_nothing_is_folded_on_paper(self, desk: Desk) -> None:
        desk.open(CARD)
        row = desk.page.locator("#figure-phantom_ece_edema")
        height = "() => document.documentElement.scrollHeight"
        on_screen = desk.page.evaluate(height)
        assert not row.is_visible()
        desk.page.emulate_media(media="print")
        assert row.is_visible()
        assert desk.page.evaluate(height) > 3 * on_screen


PHONE = {"width": 390, "height": 844}
PAGES = (
    "/",
    "/research",
    CARD,
    "/research/models/whole-lungs",
    "/research/agreement",
    "/research/ablations/phantoms",
    "/research/runs",
    "/people",
    "/people/audit",
    "/account",
)


class TestPhone:
    def test_the_head_is_one_row_that_cuts_nothing_off(self, desk: Desk) -> None:
        """It took three."""
        desk.page.set_viewport_size(PHONE)
        name = pseudonym(desk.house, "one")
        cut = {}
        for path in (*PAGES, f"/studies/{name}", f"/studies/{name}/report", f"/studies/{name}/objects"):
            desk.open(path)
            told = desk.page.evaluate(
                "() => { const head = document.querySelector('.masthead');"
                " const context = head.querySelector('.masthead-context');"
                " return [head.getBoundingClientRect().height, context.scrollWidth - context.clientWidth]; }"
            )
            if told[0] > 50 or told[1] > 0:
                cut[path] = told
        assert cut == {}

    @pytest.mark.parametrize("width", [701, 820, 960])
    def test_on_a_tablet_too_the_head_is_one_row(self, desk: Desk, width: int) -> None:
        """Pages that say where one is took two between 700 and 960 pixels."""
        desk.page.set_viewport_size({"width": width, "height": 900})
        name = pseudonym(desk.house, "one")
        for path in (CARD, "/people/audit", f"/studies/{name}", f"/studies/{name}/report"):
            desk.open(path)
            told = desk.page.evaluate(
                "() => { const head = document.querySelector('.masthead');"
                " const context = head.querySelector('.masthead-context');"
                " return [head.getBoundingClientRect().height <= 50,"
                "  context.scrollWidth <= context.clientWidth, head.scrollWidth <= head.clientWidth]; }"
            )
            assert told == [True, True, True], path

    def test_escape_closes_the_menu_and_gives_the_focus_back(self, desk: Desk) -> None:
        desk.page.set_viewport_size(PHONE)
        desk.open("/")
        menu = desk.page.locator(".masthead-menu")
        menu.locator("summary").click()
        menu.get_by_role("link", name="Research").focus()
        desk.page.keyboard.press("Escape")
        assert not menu.evaluate("one => one.open")
        assert desk.page.evaluate("() => document.activeElement.tagName") == "SUMMARY"

    def test_a_report_on_paper_has_no_menu_and_nothing_to_press(self, desk: Desk) -> None:
        desk.page.set_viewport_size({"width": 794, "height": 1123})
        desk.open(f"/studies/{pseudonym(desk.house, 'three')}/report")
        desk.page.emulate_media(media="print")
        for nothing in (".masthead-menu", ".masthead .rooms", ".sheet-side", "button"):
            assert not [one for one in desk.page.locator(nothing).all() if one.is_visible()], nothing
        assert desk.page.get_by_text("Research use only").is_visible()
        assert desk.page.locator("textarea[name=impression]").is_visible()
        desk.page.emulate_media(media="screen")

    def test_the_menu_holds_what_the_head_has_elsewhere(self, desk: Desk) -> None:
        desk.page.set_viewport_size(PHONE)
        desk.open("/")
        head, menu = desk.page.locator(".masthead"), desk.page.locator(".masthead-menu > summary")
        assert not head.get_by_role("link", name="Research").is_visible()
        menu.focus()
        desk.page.keyboard.press("Enter")
        for link in ("Worklist", "Research", "People", "root"):
            assert head.get_by_role("link", name=link, exact=True).is_visible()
        for button in ("Light theme", "Sign out"):
            assert head.get_by_role("button", name=button).is_visible()
        sheet = desk.page.locator(".masthead-sheet").bounding_box()
        assert sheet is not None
        assert sheet["x"] >= 0
        assert sheet["x"] + sheet["width"] <= PHONE["width"]
        head.get_by_role("link", name="Research").click()
        desk.page.wait_for_url("**/research")
        desk.page.set_viewport_size({"width": 1280, "height": 720})
        assert not menu.is_visible()
        assert head.get_by_role("link", name="Research").is_visible()

    def test_plots_fit_with_letters_that_can_be_read(self, desk: Desk) -> None:
        desk.page.set_viewport_size(PHONE)
        seen = 0
        for path in PAGES:
            desk.open(path)
            told = desk.page.evaluate(
                "() => { for (const one of document.querySelectorAll('details')) one.open = true;"
                " return [...document.querySelectorAll('.plot.forest')].filter(one => one.checkVisibility())"
                ".map(one => [one.parentElement.scrollWidth - one.parentElement.clientWidth,"
                "  12 * one.getBoundingClientRect().width / one.viewBox.baseVal.width,"
                "  Math.max(...[...one.querySelectorAll('text')].map(text => { const box = text.getBBox();"
                "   return box.x + box.width; })) - one.viewBox.baseVal.width]); }"
            )
            seen += len(told)
            assert [one for one in told if one[0] > 0 or one[1] < 10 or one[2] > 0] == [], path
        assert seen >= 8

    def test_a_wide_table_scrolls_in_its_own_box_whose_edge_is_seen(self, desk: Desk) -> None:
        desk.page.set_viewport_size(PHONE)
        for path in ("/people/audit", CARD):
            desk.open(path)
            page, over, edges = desk.page.evaluate(
                "() => { const own = document.querySelector('.scroller:has(> table)');"
                " return [document.documentElement.scrollWidth, own.scrollWidth - own.clientWidth,"
                "  getComputedStyle(own).backgroundImage.split('linear-gradient').length - 1]; }"
            )
            assert page <= PHONE["width"]
            assert over > 0, path
            assert edges == 4
