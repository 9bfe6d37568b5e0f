"""The findings panel in a browser: what readers say is stored, shown, taken back, not overwritten."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from suite.accounts.principal import LOCAL, Role
from suite.findings import CODES
from suite.records.reviews import ReviewView
from tests.viewer_desk import Desk, ReadingRoom, colour_of, desk_in, needs_browser, open_reading_room

pytestmark = needs_browser
SUGGESTED = "pleural_effusion"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingRoom]:
    with open_reading_room(tmp_path_factory.mktemp("reviews")) as room:
        for name in ("anna", "ben"):
            room.house.services.users.create(name, Role.READER)
        yield room


@pytest.fixture
def anna(room: ReadingRoom) -> Iterator[Desk]:
    """A reader in front of a sheet on which nothing stands."""
    for entry in entries(room):
        room.house.services.reviews.undo("chest", entry.id, LOCAL)
    with desk_in(room, "anna") as desk:
        yield desk


def entries(room: ReadingRoom) -> list[ReviewView]:
    """What stands on the sheet."""
    sheet = room.house.services.reviews.sheet("chest")
    return [entry for entry in sheet.entries if entry.undone_at is None]


def row(code: str = SUGGESTED) -> str:
    return f'.finding-row[data-code="{code}"]'


def verdict(desk: Desk, expected: str, code: str = SUGGESTED) -> None:
    desk.page.wait_for_selector(f'{row(code)}[data-verdict="{expected}"]')


def test_all_findings_are_listed_by_falling_probability_with_what_is_not_known_last(anna: Desk) -> None:
    codes = anna.page.eval_on_selector_all(".finding-row", "rows => rows.map(row => row.dataset.code)")
    assert sorted(codes) == sorted(CODES)
    numbers = anna.page.locator(".finding-row .finding-number").all_inner_texts()
    shown = [float(number.rstrip(" %")) for number in numbers[:10]]
    assert shown == sorted(shown, reverse=True)
    assert set(numbers[10:]) <= {"–", ""}
    assert "not trained" in anna.page.locator(row("fracture")).inner_text()
    assert "uncertain" in anna.page.locator(row("consolidation")).inner_text()


def test_a_verdict_is_on_the_reading_that_the_page_shows(room: ReadingRoom, anna: Desk) -> None:
    """Another one may have finished since the page was opened."""
    shown = room.house.services.search.study("chest").done.id
    services = room.house.services
    services.publish(services.queue.submit("chest"))
    room.house.wait()
    assert services.search.study("chest").done.id != shown
    anna.page.click(f"{row()} .finding")
    anna.page.click(f"{row()} .accept")
    verdict(anna, "accepted")
    assert [entry.job_id for entry in entries(room)] == [shown]


def test_accepting_is_stored_with_reader_time_and_model_and_can_be_taken_back(
    room: ReadingRoom, anna: Desk
) -> None:
    page = anna.page
    page.click(f"{row()} .finding")
    page.click(f"{row()} .accept")
    verdict(anna, "accepted")
    assert page.locator("#judged").inner_text() == "1 of 2 judged"
    (entry,) = entries(room)
    assert (entry.user, entry.finding, str(entry.verdict)) == ("anna", SUGGESTED, "accepted")
    assert entry.model_sha256 == "ab" * 32
    assert entry.created_at > 1.7e9
    anna.open()
    verdict(anna, "accepted")
    page.click(f"{row()} .finding")
    said = page.locator(f"{row()} .said").inner_text()
    assert "anna accepted" in said
    assert "abababab" in said
    page.click(f"{row()} .said >> text=Take back")
    verdict(anna, "")
    anna.open()
    verdict(anna, "")
    assert entries(room) == []


def test_keys_accept_reject_add_and_take_back(room: ReadingRoom, anna: Desk) -> None:
    anna.press("j", "n")
    verdict(anna, "rejected")
    anna.press("u")
    verdict(anna, "")
    anna.press("y")
    verdict(anna, "accepted")
    anna.press("k", "n")  # the last of the list, which was not trained: it can be added only
    code = anna.page.locator(".finding-row").last.get_attribute("data-code") or ""
    anna.page.wait_for_selector("#notice:not([hidden])")
    assert "nothing to reject" in anna.page.locator("#notice").inner_text()
    anna.press("y")
    verdict(anna, "added", code)
    assert {(entry.finding, str(entry.verdict)) for entry in entries(room)} == {
        (SUGGESTED, "accepted"),
        (code, "added"),
    }


def test_comments_go_to_a_finding_or_to_the_whole_reading(room: ReadingRoom, anna: Desk) -> None:
    page = anna.page
    anna.press("j", "/")
    page.keyboard.type("Rather a raised diaphragm <b>")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(f"{row()} .entry.comment q")
    assert page.locator(f"{row()} .entry q").inner_text() == "Rather a raised diaphragm <b>"
    page.fill("#comment-all", "Poor inspiration.")
    page.click("#comment-form button")
    page.wait_for_selector("#said-of-all .entry")
    assert [(entry.finding, entry.text) for entry in entries(room)] == [
        (SUGGESTED, "Rather a raised diaphragm <b>"),
        (None, "Poor inspiration."),
    ]


def test_a_measurement_is_attached_and_drawn_again(room: ReadingRoom, anna: Desk) -> None:
    page = anna.page
    anna.press("j", "h", "l")
    anna.drag(anna.place_of(100, 50), anna.place_of(100, 150))
    page.click("#drawn >> text=Attach to pleural effusion")
    page.wait_for_selector("#drawn >> text=attached")
    (entry,) = entries(room)
    assert entry.finding == SUGGESTED
    assert (entry.text or "").startswith("Length 100 px [frontal ")
    anna.open()
    page.wait_for_selector("#drawn >> text=attached")
    anna.settle()
    x, y = anna.place_of(100, 100)
    near = colour_of(anna.look())[round(y) - 2 : round(y) + 3, round(x)]
    assert near.max() > 100  # the yellow line


def test_nobody_overwrites_what_another_reader_just_said(room: ReadingRoom, anna: Desk) -> None:
    with desk_in(room, "ben") as ben:
        ben.press("j", "y")
        verdict(ben, "accepted")
        # anna's page does not know yet; what she says is not taken before she has seen what ben said
        anna.press("j", "n")
        anna.page.wait_for_selector("#notice:not([hidden])")
        assert "Somebody else reviewed this study" in anna.page.locator("#notice").inner_text()
        verdict(anna, "accepted")
        assert "ben accepted" in anna.page.locator(f"{row()} .said").inner_text()
        assert anna.page.locator(f"{row()} .said >> text=Take back").count() == 0  # it is ben's
        anna.press("n")
        verdict(anna, "rejected")
        anna.complaints.clear()  # the browser notes the refused request
    assert [(entry.user, str(entry.verdict)) for entry in entries(room)] == [
        ("ben", "accepted"),
        ("anna", "rejected"),
    ]


def test_where_a_number_comes_from_is_one_click_away(anna: Desk) -> None:
    anna.press("j")
    anna.page.click(f"{row()} [data-card]")
    card = anna.page.locator("#model-card")
    card.locator("dl").wait_for()
    text = card.inner_text()
    assert "AUC on held-out patients" in text
    assert "Operating point" in text
    assert "This study was read with other weights (abababababab…)" in text  # the fake's
    anna.page.keyboard.press("Escape")
    assert card.is_hidden()


def test_a_server_that_is_away_is_said_and_nothing_is_pretended(room: ReadingRoom, anna: Desk) -> None:
    anna.page.route("**/reviews", lambda route: route.abort())
    anna.press("j", "y")
    anna.page.wait_for_selector("#notice:not([hidden])")
    assert "does not answer" in anna.page.locator("#notice").inner_text()
    assert anna.page.locator(row()).get_attribute("data-verdict") == ""
    assert entries(room) == []
    anna.complaints.clear()
