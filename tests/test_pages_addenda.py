"""Addenda to a signed report: each with a digest over itself and what it was added to, checked when shown."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pypdf
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import delete, select, text, update

import suite.jobs
from suite.accounts.principal import SCOPES_OF_ROLE, Means, Principal, Role
from suite.errors import StorageError
from suite.jobs.database import open_engine
from suite.jobs.models import Addendum
from suite.records.report_digest import SignedAddendum, addenda_digests
from suite.settings import Settings
from tests.jobs_fakes import film_png
from tests.pages_house import pseudonym, signed_in
from tests.web_house import House, open_house

ADA = Principal("ada", Role.READER, SCOPES_OF_ROLE[Role.READER], Means.SESSION, 1)
STUDY = "chest"
TEXT = {"findings": "Effusion.", "impression": "1. Effusion."}
BEFORE = "20261127_newest_reading"
"""The tables as they were while addenda had no digest."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path / "data", sign_in=True) as opened:
        opened.take("chest.png", film_png(1), "side.png", film_png(2))
        opened.work()
        written, job = opened.services.written, str(opened.services.catalogue.study(STUDY).done.id)
        kept = written.save(STUDY, TEXT, ADA, seen_version=0, job_id=job)
        written.sign(STUDY, ADA, seen_version=kept.version, newest_seen=job)
        for words in ("First.", "Second.", "Third."):
            written.add(STUDY, words, ADA)
        yield opened


def alter(house: House, words: str, **values: object) -> None:
    with house.services.database.write() as session:
        session.execute(update(Addendum).where(Addendum.text == words).values(**values))


def drop_digests(house: House, *words: str) -> None:
    """Leave addenda as a version without digests kept them."""
    for each in words:
        alter(house, each, sha256=None)


def is_refused(house: House, number: int) -> bool:
    with pytest.raises(StorageError, match=f"{STUDY}: addendum {number} of the signed report was altered"):
        house.services.written.of(STUDY)
    return True


def test_each_digest_covers_the_addendum_and_what_it_was_added_to(house: House) -> None:
    report = house.services.written.of(STUDY)
    before = report.sha256
    for added in report.addenda:
        covered = ["radsuite.addendum/1", before, added.text, added.signed_by, added.signed_at]
        before = hashlib.sha256(json.dumps(covered).encode()).hexdigest()
        assert added.sha256 == before


def test_digests_stay_what_they_are() -> None:
    """Those that are kept in databases must be found again by every later version."""
    addenda = [SignedAddendum("Erguß.", "ada", 1_700_000_000.25), SignedAddendum("x", "bob", 1_700_000_001.5)]
    assert addenda_digests("f" * 64, addenda) == [
        "4859196d04df6a0abeba6dcd947128693773332d14bcf083562c5a4add310847",
        "e963737ef84771a9614b489cb5a68b30e56c4ce2ab68b3209a906f6b75cc3b1a",
    ]


@pytest.mark.parametrize("change", [{"text": "Other."}, {"signed_by": "bob"}, {"signed_at": 1.0}])
def test_what_was_altered_is_named_and_neither_shown_nor_added_to(
    house: House, change: dict[str, object]
) -> None:
    alter(house, "Second.", **change)
    assert is_refused(house, 2)
    answer = signed_in(house, "ada").get(f"/studies/{pseudonym(house, STUDY)}/report")
    assert (answer.status_code, "restore it from the backup" in answer.text) == (503, True)
    with pytest.raises(StorageError, match="addendum 2"):
        house.services.written.add(STUDY, "Fourth.", ADA)


def test_one_that_was_taken_out_is_missed(house: House) -> None:
    with house.services.database.write() as session:
        session.execute(delete(Addendum).where(Addendum.text == "First."))
    assert is_refused(house, 1)


def test_the_last_that_was_taken_out_is_missed_by_the_trail(house: House) -> None:
    with house.services.database.write() as session:
        session.execute(delete(Addendum).where(Addendum.text == "Third."))
    missing = f"{STUDY}: addendum 3 of the signed report is missing from the database"
    with pytest.raises(StorageError, match=missing):
        house.services.written.of(STUDY)
    with pytest.raises(StorageError, match=missing):
        house.services.written.add(STUDY, "Another.", ADA)


def test_a_digest_that_was_removed_is_missed(house: House) -> None:
    drop_digests(house, "Second.")
    assert is_refused(house, 2)


def test_the_trail_names_each(house: House) -> None:
    lines = house.services.trail.lines(subject=STUDY, limit=1000)
    added = [line.detail for line in lines if line.action == "report.addendum"]
    told = {detail["number"]: detail["sha256"] for detail in added}
    report = house.services.written.of(STUDY)
    assert told == {number: item.sha256 for number, item in enumerate(report.addenda, start=1)}


def test_page_and_pdf_show_it_and_say_where_there_is_none(house: House) -> None:
    drop_digests(house, "First.")
    ada, page = signed_in(house, "ada"), f"/studies/{pseudonym(house, STUDY)}/report"
    shown = ada.get(page).text
    pages = pypdf.PdfReader(io.BytesIO(ada.get(f"{page}.pdf").data)).pages
    printed = "".join("".join(sheet.extract_text() for sheet in pages).split())
    for added in house.services.written.of(STUDY).addenda[1:]:
        assert added.sha256 in shown
        assert added.sha256 in printed
    assert shown.count("It was signed before addenda had a sha256.") == 1
    assert printed.count("Nosha256waskept.") == 1


def test_older_ones_without_a_digest_are_shown_and_covered_from_the_next_on(house: House) -> None:
    drop_digests(house, "First.", "Second.", "Third.")
    assert [added.sha256 for added in house.services.written.of(STUDY).addenda] == [None] * 3
    house.services.written.add(STUDY, "Fourth.", ADA)
    kept = [added.sha256 for added in house.services.written.of(STUDY).addenda]
    assert [each is None for each in kept] == [True, True, True, False]
    alter(house, "Second.", text="Other.")
    assert is_refused(house, 4)


def test_addenda_of_an_older_database_go_on_without_one(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    config = Config()
    config.set_main_option("script_location", str(Path(suite.jobs.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    engine = open_engine(settings, changing_tables=True)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE)
        connection.execute(
            text("INSERT INTO addendum (report_id, text, signed_by, signed_at) VALUES (1, 'Old.', 'ada', 1)")
        )
        command.upgrade(config, "head")
        assert connection.execute(select(Addendum.text, Addendum.sha256)).all() == [("Old.", None)]
        command.downgrade(config, BEFORE)
        columns = connection.execute(text("SELECT * FROM addendum")).keys()
        assert list(columns) == ["id", "report_id", "text", "signed_by", "signed_at"]
    engine.dispose()
