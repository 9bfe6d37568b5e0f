"""Triage order: suggestions only raise, nobody waits beyond the cap, and the simulator agrees with theory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from suite.cli import main
from suite.jobs.priority import place, priority_of
from suite.jobs.requests import raise_priority
from suite.jobs.simulation import Assumptions, Order, Studies, compare, waiting
from tests.jobs_fakes import film_png
from tests.web_house import open_house

NOW = 1_800_000_000.0
HOUR = 3600.0


def _summary(state: str, probability: float, *suggested: str) -> dict[str, Any]:
    findings = [
        {"code": code, "name": code.capitalize(), "state": "suggested", "probability": 0.6}
        for code in suggested
    ]
    return {"triage": {"state": state, "probability": probability}, "findings": findings}


def test_a_suggestion_raises_and_nothing_ever_lowers() -> None:
    at_rest = [
        None,
        {},
        {"triage": None, "findings": None},
        _summary("normal", 0.3),
        _summary("uncertain", 0.5),
    ]

    assert [priority_of(summary)[0] for summary in at_rest] == [0.0] * 5
    assert priority_of(_summary("abnormal", 0.9))[0] == 0.9
    assert priority_of(_summary("normal", 0.1, "pneumothorax"))[0] > priority_of(_summary("abnormal", 1.0))[0]


def test_the_list_is_urgent_then_abnormal_then_by_arrival() -> None:
    studies = {
        "normal, early": place(_summary("normal", 0.1), NOW - 2 * HOUR, NOW),
        "unread": place(None, NOW - HOUR, NOW),
        "abnormal 0.7": place(_summary("abnormal", 0.7), NOW - 60, NOW),
        "abnormal 0.9": place(_summary("abnormal", 0.9, "edema"), NOW - 60, NOW),
        "pneumothorax": place(_summary("abnormal", 0.6, "pneumothorax"), NOW - 1, NOW),
        "overdue": place(_summary("normal", 0.1), NOW - 5 * HOUR, NOW),
        "longest": place(_summary("normal", 0.0), NOW - 6 * HOUR, NOW),
    }

    assert sorted(studies, key=lambda name: studies[name].key) == [
        "longest",
        "overdue",
        "pneumothorax",
        "abnormal 0.9",
        "abnormal 0.7",
        "normal, early",
        "unread",
    ]


def test_each_place_has_a_reason_for_people() -> None:
    assert place(_summary("abnormal", 0.74), NOW, NOW).reason == "Abnormal suggested (74 %)"
    assert place(_summary("normal", 0.2), NOW, NOW).reason == "In the order of arrival"
    assert (
        place(_summary("abnormal", 0.7, "pneumothorax"), NOW, NOW).reason == "Pneumothorax suggested (60 %)"
    )
    overdue = place(None, NOW - 250 * 60, NOW, cap_seconds=240 * 60)
    assert overdue.reason == "Waiting for 4 h 10 min, longer than 4 h 00 min: next in line"
    assert place(None, NOW + 60, NOW).key[0] == 1  # a clock that runs behind makes nobody overdue


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.74), (0.9, 0.9)], ids=["raised", "never lowered"])
def test_a_finished_reading_raises_its_job(before: float, after: float, tmp_path: Path) -> None:
    with open_house(tmp_path / "data") as house:
        house.take("front.png", film_png(1), "side.png", film_png(2))
        (study,) = house.services.catalogue.studies()
        assert study.latest is not None
        raise_priority(house.services.database, study.latest.id, before, "by hand")
        house.work()
        (study,) = house.services.catalogue.studies()

    assert study.latest is not None
    assert study.latest.priority == after
    assert study.latest.priority_reason == ("by hand" if before else "Abnormal suggested (74 %)")


def _assumptions(**changes: Any) -> Assumptions:
    values: dict[str, Any] = {
        "arrivals_per_hour": 8.0,
        "reading_minutes": 6.0,
        "prevalence": {"pneumothorax": 0.05, "other": 0.25},
        "sensitivity": 0.8,
        "specificity": 0.9,
        "hours": 10_000.0,
    }
    return Assumptions(**{**values, **changes})


LOAD = 8 / 60 * 6  # 0.8


@pytest.mark.parametrize(
    ("exponential", "expected"),
    [(True, LOAD / (1 - LOAD) * 6), (False, LOAD / (2 * (1 - LOAD)) * 6)],
    ids=["M/M/1", "M/D/1"],
)
def test_the_mean_wait_in_order_of_arrival_is_that_of_theory(exponential: bool, expected: float) -> None:
    """Pollaczek and Khinchine: 24 and 12 minutes."""
    studies = _assumptions(exponential=exponential).draw(np.random.default_rng(7))

    assert waiting(studies, Order.ARRIVAL).mean() == pytest.approx(expected, rel=0.05)


def test_the_mean_wait_of_several_readers_is_that_of_theory() -> None:
    """Erlang's C formula for two readers at load 0.8: 0.711 wait, 10.67 minutes on average over all."""
    studies = _assumptions(arrivals_per_hour=16.0).draw(np.random.default_rng(7))
    waited = waiting(studies, Order.ARRIVAL, readers=2)

    assert (waited > 0).mean() == pytest.approx(0.711, rel=0.03)
    assert waited.mean() == pytest.approx(10.67, rel=0.05)


def test_the_waits_by_priority_are_those_of_theory() -> None:
    """Cobham 1954, without interruption: R / (1 - r1) and R / ((1 - r1)(1 - r)), R = rate * E[S^2] / 2."""
    random = np.random.default_rng(7)
    drawn = _assumptions().draw(random)
    first = random.uniform(size=len(drawn.arrivals)) < 0.3
    studies = Studies(drawn.arrivals, drawn.durations, drawn.findings, first.astype(float))
    waited = waiting(studies, Order.PRIORITY)
    residual = 8 / 60 * 2 * 6**2 / 2

    assert waited[first].mean() == pytest.approx(residual / (1 - 0.3 * LOAD), rel=0.05)
    assert waited[~first].mean() == pytest.approx(residual / ((1 - 0.3 * LOAD) * (1 - LOAD)), rel=0.05)


def test_no_order_changes_the_mean_over_all_when_readings_are_alike() -> None:
    studies = _assumptions(exponential=False, hours=500.0).draw(np.random.default_rng(3))
    sums = [waiting(studies, order, readers=2).sum() for order in Order]

    assert sums[0] > 0
    np.testing.assert_allclose(sums[1:], sums[0], rtol=1e-9)


def test_without_a_cap_the_missed_wait_longer_and_the_cap_takes_that_back() -> None:
    """The effect that the literature warns of: a lower mean, and a worse worst."""
    studies = _assumptions(arrivals_per_hour=9.5, hours=3000.0).draw(np.random.default_rng(5))
    rows = {(row.kind, row.order): row for row in compare(studies, cap_minutes=120.0)}
    fifo, free, capped = (rows["pneumothorax", order] for order in Order)

    assert free.mean < 0.7 * fifo.mean
    assert free.worst > 1.3 * fifo.worst
    assert capped.worst < 0.8 * free.worst
    assert capped.mean < fifo.mean


def test_nobody_overtakes_a_study_past_the_cap() -> None:
    arrivals = np.array([0.0, 1.0, 2.0, 3.0, 30.0])
    studies = Studies(
        arrivals, np.full(5, 10.0), np.array(["", "", "x", "x", "x"]), np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    )

    assert waiting(studies, Order.PRIORITY).tolist() == [0.0, 39.0, 8.0, 17.0, 0.0]
    assert waiting(studies, Order.CAPPED, cap_minutes=15.0).tolist() == [0.0, 19.0, 8.0, 27.0, 10.0]


def test_nothing_is_begun_outside_the_shift() -> None:
    studies = Studies(
        np.array([60.0, 17 * 60.0 + 55, 17 * 60.0 + 56]), np.full(3, 10.0), np.array([""] * 3), np.zeros(3)
    )

    assert waiting(studies, Order.ARRIVAL, shift=(8, 18)).tolist() == [420.0, 0.0, 14 * 60.0 + 4]


def test_the_command_reads_a_sites_own_arrivals(tmp_path: Path) -> None:
    table = tmp_path / "arrivals.csv"
    table.write_text(
        "arrived,minutes,finding,suggested\n2026-03-01 08:00,10,,0\n2026-03-01 08:01,10,,0\n"
        "2026-03-01 08:02,10,pneumothorax,1\n"
    )
    result = CliRunner().invoke(main, ["simulate-queue", "--data", str(table), "--json"])
    rows = {(row["kind"], row["order"]): row for row in json.loads(result.output)}

    assert rows["pneumothorax", "order of arrival"]["mean"] == pytest.approx(18.0)
    assert rows["pneumothorax", "priority without cap"]["mean"] == pytest.approx(8.0)
    assert rows["normal", "priority without cap"]["worst"] == pytest.approx(19.0)


def test_the_command_prints_a_table(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["simulate-queue", "--hours", "200", "--sensitivity", "0.9"])

    assert result.exit_code == 0
    for words in ("pneumothorax", "priority with cap", "mean / p95 / worst", "load"):
        assert words in result.output


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--prevalence", "x=0.9", "--prevalence", "y=0.9"], "sum to more than 1"),
        (["--prevalence", "pneumothorax"], "NAME=SHARE"),
        (["--sensitivity", "1.2"], "between 0 and 1"),
        (["--arrivals-per-hour", "0"], "above 0"),
        (["--shift", "18-8"], "such as 8-18"),
        (["--hours", "1e9"], "simulate fewer hours"),
        (["--data", "nowhere.csv"], "cannot be read"),
        (["--data", "bad.csv"], "line 3"),
        (["--data", "columns.csv"], "needs the columns"),
    ],
)
def test_the_command_says_what_is_wrong(
    options: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.csv").write_text("arrived,minutes\n0,5\nlater,5\n")
    Path("columns.csv").write_text("when,how long\n0,5\n")
    result = CliRunner().invoke(main, ["simulate-queue", *options])

    assert result.exit_code == 2
    assert complaint in result.output
