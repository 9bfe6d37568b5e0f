"""The longest names that accounts take, on a telephone's screen and a desk's: they push nothing out of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from suite.accounts.principal import SCOPES_OF_ROLE, Means, Principal, Role
from tests.jobs_fakes import film_png
from tests.pages_house import pseudonym
from tests.viewer_desk import needs_browser, open_browser
from tests.web_house import House, open_house

LONG = "maximiliane.von-und-zu-hohenlohe-schillingsfuerst.radiologie.nord"[:64]
DOCTOR = Principal(LONG, Role.ADMIN, SCOPES_OF_ROLE[Role.ADMIN], Means.SESSION, 1)
TEXT = {"findings": "Effusion.", "impression": "1. Effusion."}
SIZES = ((390, 800), (800, 900), (1280, 720))

pytestmark = needs_browser


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A study that somebody signed and one that they are to read; they are the administrator."""
    with open_house(tmp_path_factory.mktemp("names"), sign_in=True) as opened:
        opened.services.users.create(LONG, Role.ADMIN)
        for number, study in enumerate(("one", "two")):
            opened.take(f"{study}.png", film_png(number), "side.png", film_png(number + 10))
        opened.work()
        written, job = opened.services.written, str(opened.services.catalogue.study("one").done.id)
        kept = written.save("one", TEXT, DOCTOR, seen_version=0, job_id=job)
        written.sign("one", DOCTOR, seen_version=kept.version, newest_seen=job)
        written.add("one", "Seen again.", DOCTOR)
        opened.services.worklist.assign("two", DOCTOR, to=LONG)
        yield opened


@pytest.fixture(scope="module")
def page(house: House) -> Iterator[Page]:
    with house.open_for_browsers() as address, open_browser() as browser:
        opened = browser.new_context(base_url=address).new_page()
        opened.goto(f"/enter/{house.services.links.create(LONG)}")
        yield opened


def overflow(page: Page, selector: str) -> int:
    """By how many pixels something is wider than its place."""
    return int(page.eval_on_selector(selector, "one => one.scrollWidth - one.clientWidth"))


def test_no_page_is_wider_than_its_screen(house: House, page: Page) -> None:
    reports = [f"/studies/{pseudonym(house, study)}/report" for study in ("one", "two")]
    wide = {}
    for path in ("/", "/?show=done", "/?show=any", "/people", "/people/audit", "/account", *reports):
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.goto(path)
            for details in reversed(page.query_selector_all("details > summary")):
                if details.is_visible():
                    details.click()
            if (over := overflow(page, "html")) > 0:
                wide[path, width] = over
    assert wide == {}


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_table_of_users_fits(page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto("/people")
    assert overflow(page, ".scroller") == 0
    page.get_by_text("Remove", exact=False).first.click()
    assert overflow(page, ".scroller") == 0
    name = page.locator("tbody th").first.bounding_box()
    assert name is not None
    assert name["x"] + name["width"] <= width
