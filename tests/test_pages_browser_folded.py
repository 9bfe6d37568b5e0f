"""Pages that fold what is much, in a real browser: cards of networks, and every page's head on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pages_desk import Desk, PagesRoom, desk_of, open_pages_room
from tests.viewer_desk import needs_browser

pytestmark = needs_browser

CARD = "/research/models/diagnosis"
OPEN = "() => [...document.querySelectorAll('.figure-group[open]')].map(one => one.id)"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagesRoom]:
    with open_pages_room(tmp_path_factory.mktemp("folded")) as opened:
        yield opened


@pytest.fixture
def desk(room: PagesRoom) -> Iterator[Desk]:
    with desk_of("root", room) as opened:
        yield opened


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
