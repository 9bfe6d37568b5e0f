"""A worklist of a server with few threads keeps up to date without a stream."""

from __future__ import annotations

from pathlib import Path

from tests.jobs_fakes import film_png
from tests.viewer_desk import needs_browser, open_browser
from tests.web_house import open_house

pytestmark = needs_browser


def test_the_list_asks_now_and_then(tmp_path: Path) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    with (
        open_house(tmp_path, web_threads=2) as house,
        house.open_for_browsers() as address,
        open_browser() as browser,
    ):
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url.removeprefix(address)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(address)
        page.wait_for_selector("#no-studies")
        house.take("chest.png", film_png(1), "side.png", film_png(2))
        page.wait_for_selector("tbody .chip.abnormal")
    assert complaints == []
    assert "/studies/changes" not in asked
    assert any(path.startswith("/studies/rows") for path in asked)
