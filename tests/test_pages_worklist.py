"""The worklist: no name of a patient, the triage order, who reads what, what is handed in."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.accounts.principal import LOCAL, Role
from suite.jobs.display_ids import PATTERN
from suite.jobs.models import Job, JobState, Study, WorkItem
from suite.records.worklist_queries import Progress, Share, Wanted
from tests.jobs_fakes import film_png
from tests.pages_house import Person, person, pseudonym, signed_in
from tests.web_house import House, open_house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with one study that was read, and people who sign in."""
    with open_house(tmp_path_factory.mktemp("worklist"), sign_in=True, max_upload_mb=2) as opened:
        opened.take("Doe-Jane.png", film_png(1), "side.png", film_png(2))
        opened.work()
        yield opened


@pytest.fixture
def ada(house: House) -> Person:
    return signed_in(house, "ada")


@pytest.fixture(scope="module")
def name(house: House) -> str:
    return house.services.catalogue.studies()[-1].display_id


class TestPseudonyms:
    def test_no_page_shows_the_name_that_the_file_had(self, ada: Person, name: str) -> None:
        assert PATTERN.fullmatch(name)
        for path in ("/", "/studies/rows", f"/studies/{name}/report", f"/studies/{name}/progress"):
            page = ada.get(path)
            assert page.status_code == 200
            assert "Doe" not in page.text

    def test_addresses_take_the_pseudonym_and_the_old_id(self, ada: Person, name: str, house: House) -> None:
        own = house.services.catalogue.studies()[-1].id
        for path in (f"/studies/{name}", f"/studies/{own}", f"/studies/{name}/thumbnail.png"):
            assert ada.get(path).status_code == 200
        assert ada.get(f"/api/v1/studies/{name}").json["id"] == own
        assert ada.get("/studies/2222-2222").status_code == 404

    def test_both_views_have_a_small_picture(self, ada: Person, name: str) -> None:
        rows = ada.get("/studies/rows?show=any").text
        pictures = {}
        for view in ("", "?view=lateral"):
            assert f'src="/studies/{name}/thumbnail.png{view}"' in rows
            pictures[view] = ada.get(f"/studies/{name}/thumbnail.png{view}").data
        assert pictures[""] != pictures["?view=lateral"]
        assert ada.get(f"/studies/{name}/thumbnail.png?view=oblique").status_code == 404

    def test_the_name_is_still_found_by_who_knows_it(self, ada: Person, name: str) -> None:
        assert name in ada.get("/?q=doe").text
        assert name in ada.get(f"/?q={name.lower()}").text
        assert "No study fits" in ada.get("/?q=miller").text

    def test_an_empty_view_is_no_search_that_found_nothing(self, ada: Person) -> None:
        failed = ada.get("/?show=failed").text
        assert "No study is here." in failed
        assert "Ask for less" not in failed


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"with_probability": 0, "without_probability": 5}, "no probability for 5 findings"),
        ({"with_probability": 9, "without_probability": 1}, "none suggested, no probability for 1 finding"),
        ({"with_probability": 9, "without_probability": 0}, "none suggested"),
        ({}, "none suggested"),  # a row of before
    ],
)
def test_findings_without_a_probability_are_not_called_none_suggested(
    house: House, ada: Person, name: str, counts: dict[str, int], words: str
) -> None:
    with house.services.database.write() as session:
        (job,) = session.query(Job).all()
        summary = dict(job.summary or {})
        told = {"with_probability", "without_probability"}
        rest = {key: value for key, value in summary.items() if key not in told}
        job.summary = {**rest, "findings": [], **counts}
    try:
        rows = ada.get("/studies/rows?show=any").text
    finally:
        with house.services.database.write() as session:
            session.query(Job).one().summary = summary
    cell = rows.split('<td class="cell-findings">')[1].split("</td>")[0]
    assert " ".join(re.sub("<[^>]+>", "", cell).split()) == words


def reading_row(study_id: str, state: JobState, at: float, priority: float) -> Job:
    return Job(
        id=uuid.uuid4().hex,
        study_id=study_id,
        state=state.value,
        created_at=at,
        enqueued_at=at,
        priority=priority,
    )


class TestReaders:
    def test_a_study_is_taken_given_back_and_done(self, house: House, name: str) -> None:
        ada, bob = signed_in(house, "ada"), signed_in(house, "bob")
        assert ada.post(f"/studies/{name}/assignment", accept="application/json").status_code == 204
        refused = bob.post(f"/studies/{name}/assignment")
        assert (refused.status_code, "read by ada" in refused.text) == (409, True)
        assert name in ada.get("/?who=mine").text
        assert name not in bob.get("/?who=mine").text
        assert name not in bob.get("/?who=free").text
        assert ada.post(f"/studies/{name}/assignment", give_back="yes", back="/?who=mine").status_code == 303
        assert bob.post(f"/studies/{name}/done").status_code == 303
        assert name not in bob.get("/").text
        assert name in bob.get("/?show=done").text
        assert bob.post(f"/studies/{name}/done", reopen="yes").status_code == 303
        assert name in bob.get("/").text

    def test_the_page_goes_back_to_this_site_only(self, ada: Person, name: str) -> None:
        for back in ("https://evil.example/", "//evil.example", "/\\evil.example"):
            answer = ada.post(f"/studies/{name}/assignment", give_back="yes", back=back)
            assert answer.headers["Location"] == "/"

    def test_who_took_it_stands_in_the_trail(self, house: House, name: str) -> None:
        ada = signed_in(house, "ada")
        ada.post(f"/studies/{name}/assignment")
        ada.post(f"/studies/{name}/assignment", give_back="yes")
        ada.get(f"/studies/{name}")
        page = signed_in(house, "root", Role.ADMIN).get(f"/people/audit?subject={name}&actor=ada").text
        for action in ("study.assigned", "study.given-back", "study.opened"):
            assert f">{action}</code>" in page
        assert "Doe" not in page

    def test_the_next_study_is_the_first_that_nobody_else_reads(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house:
            for number, study in enumerate(("first", "second", "third")):
                house.take(f"{study}.png", film_png(number), "b.png", film_png(10 + number))
            house.work()
            first, second, third = (pseudonym(house, study) for study in ("first", "second", "third"))
            house.services.worklist.assign("second", replace(LOCAL, name="bob"), to="bob")
            me = person(house)
            assert me.get(f"/studies/{first}/next").headers["Location"] == f"/studies/{third}"
            assert me.get(f"/studies/{second}/next").headers["Location"] == f"/studies/{first}"
            for study in ("first", "third"):
                house.services.worklist.finish(study, LOCAL, done=True)
            assert me.get(f"/studies/{second}/next").headers["Location"] == "/"

    def test_the_next_study_is_found_behind_any_number_of_others(self, tmp_path: Path) -> None:
        """Those before it are taken by others, done, or not read yet; of readings, the newest counts."""
        with open_house(tmp_path) as house:
            now, triage = time.time(), {JobState.DONE: 0.9, JobState.RUNNING: 0.0}
            with house.services.database.write() as session:
                for number in range(400):
                    name = f"s{number:03d}"
                    state = JobState.RUNNING if number % 3 == 0 else JobState.DONE
                    session.add(Study(id=name, content_sha256=f"{number:064d}", created_at=now - number))
                    session.add(reading_row(name, state, now, triage[state]))
                    if number % 3:
                        taken = (
                            {"assigned_to": "bob"} if number % 3 == 1 else {"done_at": now, "done_by": "x"}
                        )
                        session.add(WorkItem(study_id=name, changed_at=now, **taken))
                for number, (older, newer) in enumerate([(0.8, 0.1), (0.1, 0.3), (0.9, 0.2)]):
                    name = f"free-{number}"
                    session.add(Study(id=name, content_sha256=f"{900 + number:064d}", created_at=now))
                    session.add(reading_row(name, JobState.DONE, now - 9, older))
                    session.add(reading_row(name, JobState.DONE, now, newer))
            worklist = house.services.worklist
            assert worklist.following("s001", "ada") == "free-1"
            assert worklist.following("free-1", "ada") == "free-2"
            assert worklist.following("s001", "bob") == f"s{397:03d}"  # of equal ones, who has waited longest
            place = person(house).get(f"/studies/{pseudonym(house, 's001')}/next").headers["Location"]
            assert place == f"/studies/{pseudonym(house, 'free-1')}"

    def test_two_who_take_it_at_once_are_told_apart(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house:
            house.take("a.png", film_png(1), "b.png", film_png(2))
            study = house.services.catalogue.studies()[0].id
            outcomes: list[str] = []

            def take(reader: str) -> None:
                try:
                    house.services.worklist.assign(study, replace(LOCAL, name=reader), to=reader)
                    outcomes.append(reader)
                except Exception:  # noqa: BLE001 -- which one it is does not matter here
                    outcomes.append("refused")

            threads = [threading.Thread(target=take, args=(reader,)) for reader in ("ada", "bob", "carl")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert outcomes.count("refused") == 2
            assert house.services.worklist.entry(study).assigned_to in outcomes


class TestChanges:
    def test_the_stream_tells_of_each_change(self, house: House, ada: Person, name: str) -> None:
        stream = ada.client.get("/studies/changes")
        assert stream.content_type.startswith("text/event-stream")
        parts = iter(stream.response)
        first = _next_event(parts)
        ada2 = signed_in(house, "ada")
        ada2.post(f"/studies/{name}/assignment")
        second = _next_event(parts)
        ada2.post(f"/studies/{name}/assignment", give_back="yes")
        stream.close()
        assert first != second

    def test_streams_leave_threads_for_others(self, house: House) -> None:
        readers = [signed_in(house, "ada") for _ in range(5)]
        answers = [reader.client.get("/studies/changes") for reader in readers]
        assert [answer.status_code for answer in answers] == [200] * 4 + [204]
        for answer in answers:
            answer.close()
        again = readers[0].client.get("/studies/changes")
        assert again.status_code == 200
        again.close()

    def test_every_stage_changes_the_lists_version(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house:
            versions = [house.services.worklist.version()]
            house.analyzer.before = lambda _: versions.append(house.services.worklist.version())
            house.take("a.png", film_png(1), "b.png", film_png(2))
            house.work()
            versions.append(house.services.worklist.version())
        assert len(set(versions)) == 7  # empty, five stages, done

    def test_counts_follow_the_work(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house:
            house.take("a.png", film_png(1), "b.png", film_png(2))
            page = house.services.worklist.page(Wanted(progress=Progress.READING), "ada")
            assert (page.total, page.counts["reading"], page.counts["open"]) == (1, 1, 1)
            house.work()
            page = house.services.worklist.page(Wanted(progress=Progress.READING, share=Share.FREE), "ada")
            assert (page.total, page.counts["reading"]) == (0, 0)


def _next_event(parts: Iterator[Any]) -> str:
    for part in parts:
        text = part.decode() if isinstance(part, bytes) else part
        if text.startswith("event: changed"):
            return str(text)
    raise AssertionError("the stream ended")


def test_waiting_times_read_as_people_say_them() -> None:
    from web.worklist import waited

    said = [waited(seconds) for seconds in (5, 60, 3599, 3600, 4 * 3600 + 300, 3 * 86400)]
    assert said == ["under 1 min", "1 min", "59 min", "1 h 00 min", "4 h 05 min", "3 days"]


def test_an_older_database_gets_pseudonyms(tmp_path: Path) -> None:
    """Studies of a version without pseudonyms have one each after the tables were brought up to date."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text

    import suite.jobs
    from suite.jobs.database import Database, open_engine
    from suite.settings import load_settings

    settings = load_settings(data=tmp_path)
    config = Config()
    config.set_main_option("script_location", str(Path(suite.jobs.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    engine = open_engine(settings, changing_tables=True)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for number in range(3):
            connection.execute(
                text(
                    "INSERT INTO study (id, content_sha256, paired_by_hand, created_at) "
                    "VALUES (:id, :sha, false, :at)"
                ),
                {"id": f"Doe-{number}", "sha": f"{number:064d}", "at": time.time()},
            )
    engine.dispose()
    database = Database(settings)
    with database.read() as session:
        names = [study.display_id for study in session.query(Study)]
    database.close()
    assert len(set(names)) == 3
    assert all(PATTERN.fullmatch(one) for one in names)


def test_pseudonyms_are_used_by_the_house(house: House, name: str) -> None:
    study = house.services.catalogue.studies()[-1]
    assert pseudonym(house, study.id) == name
