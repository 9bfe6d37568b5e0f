"""A written report is of the reading its writer was shown; one that finishes meanwhile is not credited."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pypdf
import pytest

from suite.accounts.principal import Role, Scope
from suite.records.reviews import Verdict
from tests.jobs_fakes import film_png
from tests.pages_house import Person, pseudonym, signed_in
from tests.test_pages_report import ADA, TEXT
from tests.web_house import House, open_house

STUDY = "chest"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path, sign_in=True) as opened:
        opened.take(f"{STUDY}.png", film_png(1), "side.png", film_png(2))
        opened.work()
        yield opened


@pytest.fixture
def ada(house: House) -> Person:
    return signed_in(house, "ada")


def read_again(house: House) -> str:
    """Another reading of the study finishes; gives its job."""
    job_id = house.services.queue.submit(STUDY)
    house.services.publish(job_id)
    house.work()
    return job_id


def page_of(house: House) -> str:
    return f"/studies/{pseudonym(house, STUDY)}/report"


def fields(page: str) -> dict[str, str]:
    """What a browser sends of the form as it stands: hidden fields, and the choices that are made."""
    form = page[page.index('<form class="stack" id="draft"') :]
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[: form.index("</form>")])
    chosen = re.findall(r'<input type="radio"[^>]* name="(\w+)" value="([^"]*)" checked', form)
    return {name: value for name, value in inputs + chosen if name != "csrf_token"} | TEXT


def test_a_report_names_the_reading_that_its_page_showed(house: House, ada: Person) -> None:
    shown = house.services.search.study(STUDY).done.id
    form = fields(ada.get(page_of(house)).text)
    read_again(house)
    assert ada.post(page_of(house), action="save", **form).status_code == 303
    assert house.services.written.of(STUDY).job_id == shown


def test_what_finished_meanwhile_is_told_before_anything_is_signed(house: House, ada: Person) -> None:
    shown = house.services.search.study(STUDY).done.id
    form = fields(ada.get(page_of(house)).text) | {"findings": "My words."}
    newer = read_again(house)
    answer = ada.post(page_of(house), action="sign", seen="yes", **form)
    assert answer.status_code == 409
    assert "A newer reading of this study has finished" in answer.text
    assert "My words." in answer.text
    assert "data-unsaved" not in answer.text  # the draft is kept, the signature is not
    assert 'id="seen" name="seen" value="yes">' in answer.text  # to be ticked again
    assert not house.services.written.of(STUDY).is_signed
    asked = fields(answer.text)
    assert (asked["reading"], asked["newest"]) == (shown, newer)

    assert ada.post(page_of(house), action="sign", seen="yes", **asked).status_code == 303
    signed = house.services.written.of(STUDY)
    assert (signed.is_signed, signed.job_id) == (True, shown)
    assert "this report is not of it" in ada.get(page_of(house)).text
    line = next(line for line in house.services.trail.lines(subject=STUDY) if line.action == "report.signed")
    assert line.detail["job"] == shown


def test_the_newer_reading_is_named_when_its_reader_says_so(house: House, ada: Person) -> None:
    form = fields(ada.get(page_of(house)).text)
    newer = read_again(house)
    asked = fields(ada.post(page_of(house), action="sign", seen="yes", **form).text)
    answer = ada.post(page_of(house), action="sign", seen="yes", **asked | {"reading": newer})
    assert answer.status_code == 303
    assert house.services.written.of(STUDY).job_id == newer


def test_every_further_reading_is_asked_about(house: House, ada: Person) -> None:
    form = fields(ada.get(page_of(house)).text)
    read_again(house)
    asked = fields(ada.post(page_of(house), action="sign", seen="yes", **form).text)
    newest = read_again(house)
    answer = ada.post(page_of(house), action="sign", seen="yes", **asked)
    assert (answer.status_code, fields(answer.text)["newest"]) == (409, newest)
    assert not house.services.written.of(STUDY).is_signed


def test_a_draft_of_an_earlier_reading_says_so_when_it_is_opened(house: House, ada: Person) -> None:
    form = fields(ada.get(page_of(house)).text)
    ada.post(page_of(house), action="save", **form)
    assert "A newer reading has finished" not in ada.get(page_of(house)).text
    newer = read_again(house)
    opened = ada.get(page_of(house)).text
    assert "A newer reading has finished" in opened
    assert (fields(opened)["reading"], fields(opened)["newest"]) == (form["reading"], newer)


def test_findings_are_taken_over_from_the_reading_that_is_named(house: House, ada: Person) -> None:
    house.services.reviews.add(STUDY, Verdict.ACCEPTED, ADA, finding="pleural_effusion")
    form = fields(ada.get(page_of(house)).text)
    newer = read_again(house)
    own = ada.post(page_of(house), action="redraft", **form)
    assert "(suggested with 71 %" in own.text
    assert 'data-unsaved="yes"' in own.text
    assert "data-unsaved" not in ada.get(page_of(house)).text
    other = ada.post(page_of(house), action="redraft", **form | {"reading": newer})
    assert "(suggested in another reading, accepted by ada)" in other.text
    assert (fields(own.text)["reading"], fields(other.text)["reading"]) == (form["reading"], newer)


def test_a_form_that_names_no_reading_of_its_study_is_not_kept(house: House, ada: Person) -> None:
    house.take("other.png", film_png(7), "b.png", film_png(8))
    house.work()
    other = house.services.search.study("other").done.id
    form = fields(ada.get(page_of(house)).text) | {"findings": "My words."}
    for wrong in ("", "0" * 32, other):
        answer = ada.post(page_of(house), action="save", **form | {"reading": wrong})
        assert (answer.status_code, "My words." in answer.text) == (422, True)
    assert house.services.written.of(STUDY) is None


def test_a_text_that_is_refused_does_not_take_anothers_version(house: House, ada: Person) -> None:
    """The page that comes back knows no more of what ben wrote than the one before: it stays stale."""
    form = fields(ada.get(page_of(house)).text)
    ben = signed_in(house, "ben")
    ben.post(page_of(house), action="save", **form | {"findings": "By ben."})
    refused = ada.post(page_of(house), action="save", **form | {"findings": "x" * 10_001})
    assert (refused.status_code, fields(refused.text)["version"]) == (422, "0")
    assert 'data-unsaved="yes"' in refused.text
    assert ada.post(page_of(house), action="save", **fields(refused.text)).status_code == 412
    assert house.services.written.of(STUDY).sections["findings"] == "By ben."


def test_the_pdf_shows_the_networks_of_the_reading_that_is_named(house: House, ada: Person) -> None:
    shown = house.services.search.study(STUDY).done.id
    ada.post(page_of(house), action="save", **fields(ada.get(page_of(house)).text))
    before = ada.get(f"{page_of(house)}.pdf").data
    read_again(house)
    content = ada.get(f"{page_of(house)}.pdf").data
    assert content == before
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
    assert f"job {shown[:8]}" in re.sub(r"\s+", " ", text)


def test_a_token_does_not_sign_even_with_the_pages_form(house: House, ada: Person) -> None:
    """It gets a session's form token like anybody, and writes drafts; the signature stays a person's."""
    form = fields(ada.get(page_of(house)).text)
    ada.post(page_of(house), action="save", **form)
    _, key = house.services.tokens.create("ada", "robot", (Scope.STUDIES_READ, Scope.REVIEWS_WRITE))
    robot = house.app.test_client()
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/html"}
    page = robot.get(page_of(house), headers=headers).text
    csrf = re.search(r'name="csrf-token" content="([^"]+)"', page)[1]
    assert 'id="sign"' not in page
    form = fields(page) | {"csrf_token": csrf, "seen": "yes"}
    assert robot.post(page_of(house), data=form | {"action": "save"}, headers=headers).status_code == 303
    for path, more in (
        (page_of(house), {"action": "sign", "version": "2"}),
        (f"{page_of(house)}/addenda", {}),
    ):
        answer = robot.post(path, data=form | more | {"text": "More."}, headers=headers)
        assert answer.status_code == 403
    assert not house.services.written.of(STUDY).is_signed


def test_an_addendum_that_is_refused_stays_in_its_form(house: House, ada: Person) -> None:
    form = fields(ada.get(page_of(house)).text)
    ada.post(page_of(house), action="sign", seen="yes", **form)
    answer = ada.post(f"{page_of(house)}/addenda", text="Long. " * 2000)
    assert (answer.status_code, "shorten it" in answer.text) == (422, True)
    assert "Long. Long. " in answer.text
    assert house.services.written.of(STUDY).addenda == ()


def test_a_researcher_adds_nothing_to_what_was_signed(house: House, ada: Person) -> None:
    form = fields(ada.get(page_of(house)).text)
    assert ada.post(page_of(house), action="sign", seen="yes", **form).status_code == 303
    rita = signed_in(house, "rita", Role.RESEARCHER)
    assert rita.post(f"{page_of(house)}/addenda", text="More.").status_code == 403
    assert house.services.written.of(STUDY).addenda == ()
