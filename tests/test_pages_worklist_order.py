"""The worklist in the database's order, which is that of triage and waiting time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.jobs.models import Job, Study
from suite.jobs.priority import CAP_SECONDS, place
from suite.records.worklist import Worklist
from suite.records.worklist_queries import Order, Wanted
from tests.jobs_services import new_database
from tests.web_house import open_house


def entry_of(entries: Any, study_id: str) -> Any:
    return next(entry for entry in entries if entry.study.id == study_id)


class TestOrder:
    """The database's order is the one of ``suite.jobs.priority.place``."""

    NOW = 1_700_000_000.0

    @pytest.fixture(params=["sqlite", "postgresql"])
    def listed(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> Iterator[tuple[Worklist, list[Study]]]:
        more = {}
        if request.param == "postgresql":
            more["database_url"] = new_database(request.getfixturevalue("postgres"))
        with open_house(tmp_path, **more) as house:
            studies = []
            kinds = [("abnormal", 0.9, False), ("normal", 0.1, False), ("abnormal", 0.6, True), None]
            ages = [CAP_SECONDS + 60, CAP_SECONDS - 60, 3600.0, 60.0]
            with house.services.database.write() as session:
                for number, (kind, age) in enumerate(itertools.product(kinds, ages)):
                    study = Study(
                        id=f"s{number:02d}",
                        content_sha256=f"{number:064d}",
                        created_at=self.NOW - age - number,
                    )
                    session.add(study)
                    studies.append(study)
                    if kind is not None:
                        session.add(self._job(f"s{number:02d}", *kind))
            clock = lambda: self.NOW  # noqa: E731
            yield Worklist(house.services.database, clock, house.services.trail), studies

    def _job(self, study_id: str, state: str, probability: float, urgent: bool) -> Job:
        finding = {
            "code": "pneumothorax", "name": "Pneumothorax", "state": "suggested", "probability": probability
        }  # fmt: skip
        summary: dict[str, Any] = {
            "triage": {"state": state, "probability": probability},
            "findings": [finding] if urgent else [],
        }
        priority = place(summary, 0.0, 0.0).priority
        return Job(
            id=f"{study_id:0>32}",
            study_id=study_id,
            state="done",
            reading="r",
            summary=summary,
            priority=priority,
            created_at=self.NOW,
            enqueued_at=self.NOW,
        )

    def test_it_is_that_of_place(self, listed: tuple[Worklist, list[Study]]) -> None:
        worklist, studies = listed
        entries = worklist.page(Wanted(order=Order.TRIAGE), "ada").entries
        assert len(entries) == 16
        by_place = sorted(studies, key=lambda study: entry_of(entries, study.id).place.key)
        assert [entry.study.id for entry in entries] == [study.id for study in by_place]
        assert "next in line" in entries[0].place.reason
        assert entries[4].place.reason == "Pneumothorax suggested (60 %)"

    def test_pages_neither_repeat_nor_miss(self, listed: tuple[Worklist, list[Study]]) -> None:
        worklist, _ = listed
        whole = worklist.page(Wanted(), "ada").entries
        parts = [worklist.page(Wanted(), "ada", offset=start, limit=5).entries for start in (0, 5, 10, 15)]
        assert [e.study.id for part in parts for e in part] == [e.study.id for e in whole]

    def test_time_and_triage_narrow_and_sort(self, listed: tuple[Worklist, list[Study]]) -> None:
        worklist, studies = listed
        oldest = worklist.page(Wanted(order=Order.OLDEST), "ada").entries
        assert [e.study.created_at for e in oldest] == sorted(study.created_at for study in studies)
        normal = worklist.page(Wanted(triage="normal"), "ada")
        assert (normal.total, len(normal.entries)) == (4, 4)
        assert normal.counts == {"any": 16, "open": 16, "reading": 0, "failed": 0, "done": 0}
