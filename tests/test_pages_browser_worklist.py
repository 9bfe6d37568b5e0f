"""The worklist in a real browser: by mouse and by key, and kept up to date."""

from __future__ import annotations

import re
import threading

from suite.accounts.principal import LOCAL, Role
from tests import pages_desk
from tests.jobs_fakes import film_png
from tests.pages_desk import Desk, PagesRoom, desk_of, payload
from tests.pages_house import pseudonym
from tests.viewer_desk import needs_browser

NAME = "<img src=x onerror=document.title=1>.png"
pytestmark = needs_browser
room, desk = pages_desk.room, pages_desk.desk

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

    def test_two_readers_see_what_the_other_takes(self, desk: Desk, room: PagesRoom) -> None:
        desk.open("/")
        with desk_of("ben", room) as ben:
            ben.open("/")
            ben.row("two").get_by_role("button", name=re.compile("Take")).click()
            desk.row("two").locator(".reader:has-text('ben')").wait_for()
            assert desk.row("two").get_by_role("button", name=re.compile("Take")).count() == 0
            ben.row("two").get_by_role("button", name=re.compile("Give back")).click()
            desk.row("two").get_by_role("button", name=re.compile("Take")).wait_for()

    def test_a_list_whose_session_has_ended_leads_to_the_door(self, desk: Desk, room: PagesRoom) -> None:
        desk.house.services.users.create("carl", Role.READER)
        with desk_of("carl", room) as carl:
            carl.page.goto("about:blank")
            with carl.page.expect_response("**/studies/changes"):  # the list listens before the session ends
                carl.open("/")
            desk.house.services.users.change("carl", disabled=True)
            desk.house.services.worklist.assign("two", LOCAL, to=None)  # something changes, and the list asks
            carl.page.wait_for_selector("h1:has-text('Sign in')")
