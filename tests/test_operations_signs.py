"""What the service says of itself: ready or not, its numbers, its log, and no patient in any of them."""

from __future__ import annotations

import io
import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from suite.cli import main
from suite.commands.doctor import shown
from suite.jobs import probes
from suite.jobs.identity import WorkerIdentity
from suite.jobs.logs import formatter, without_identifiers
from suite.jobs.workers import announce
from suite.settings import load_settings
from tests.jobs_fakes import film_png
from tests.web_house import House, open_house

PATIENT = "Featherstone_Ann_1950"
SECRET = "a secret of some length"


def _take(house: House) -> None:
    house.take(f"{PATIENT}.png", film_png(1), f"{PATIENT}_side.png", film_png(2))


def _samples(house: House) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = house.client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_ready_with_a_worker_and_without_one(tmp_path: Path) -> None:
    with open_house(tmp_path / "data") as house:
        alone = house.client.get("/readyz")
        announce(house.services.database, WorkerIdentity.of_this_process(), house.settings, time.time())
        together = house.client.get("/readyz")

    assert (alone.status_code, together.status_code) == (200, 200)
    assert alone.json["checks"]["workers"]["well"] is False
    assert together.json["checks"]["workers"]["well"] is True
    assert set(together.json["checks"]) == {"database", "broker", "store", "workers", "disk"}


def test_a_worker_that_fell_silent_is_not_at_work(tmp_path: Path) -> None:
    with open_house(tmp_path / "data", lease_seconds=20.0) as house:
        long_ago = time.time() - 21.0
        announce(house.services.database, WorkerIdentity.of_this_process(), house.settings, long_ago)

        assert not probes.workers(house.services.database, house.settings).well


@pytest.mark.parametrize(
    ("broken", "values"),
    [
        ("broker", {"broker_url": "redis://127.0.0.1:1/0"}),
        ("broker", {"broker_url": "amqp://guest:hidden@127.0.0.1:1//"}),
        ("store", {"store_url": "nosuchprotocol://bucket"}),
    ],
)
def test_what_is_not_reachable_is_named_without_its_address(
    broken: str, values: dict[str, Any], tmp_path: Path
) -> None:
    settings = load_settings(data=tmp_path / "data", **values)
    found = {"broker": probes.broker, "store": probes.store}[broken](settings)

    assert not found.well
    assert "127.0.0.1" not in found.detail
    assert "hidden" not in found.detail


def test_not_ready_without_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "free_bytes", lambda _settings: 10_000)
    with open_house(tmp_path / "data") as house:
        answer = house.client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json["checks"]["disk"]["well"] is False


def test_the_numbers_follow_the_tables(tmp_path: Path) -> None:
    with open_house(tmp_path / "data") as house:
        _take(house)
        waiting = _samples(house)
        house.work()
        done = _samples(house)

    queued = (("queue", "cpu"), ("state", "queued"))
    finished = (("queue", "cpu"), ("state", "done"))
    assert (waiting["radsuite_jobs", queued], waiting["radsuite_jobs", finished]) == (1, 0)
    assert (done["radsuite_jobs", queued], done["radsuite_jobs", finished]) == (0, 1)
    assert done["radsuite_studies_total", ()] == 1
    assert done["radsuite_stage_seconds_count", (("stage", "triage"),)] == 1
    assert done["radsuite_queue_age_seconds", (("queue", "cpu"),)] == 0
    assert done["radsuite_disk_free_bytes", ()] > 1e6


def test_signs_are_open_and_name_no_patient(tmp_path: Path) -> None:
    with open_house(tmp_path / "data", secret=SECRET) as house:
        _take(house)
        house.work()
        answers = [house.client.get(path) for path in ("/healthz", "/readyz", "/metrics")]

    for answer in answers:
        assert answer.status_code == 200
        assert "Featherstone" not in answer.text


@pytest.mark.parametrize("kind", ["text", "json"])
def test_no_patient_is_named_in_the_log(kind: str, tmp_path: Path) -> None:
    """A whole life of a study with the names a hospital gives, failures and tracebacks included."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(kind))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with open_house(tmp_path / "data") as house:
            _take(house)
            house.work()
            _take(house)
            house.client.get(f"/studies/{PATIENT}")
            log = logging.getLogger("suite.jobs.test")
            log.error("study %s: stage lungs failed", PATIENT)
            log.warning("%s/studies/%s/readings/a: could not be stored", tmp_path, PATIENT)
            log.warning("/in/Featherstone Ann.dcm: damaged; FEATHERSTONE^ANN, 1.2.840.113619.2.55.3.77")
            try:
                raise ValueError(f"study {PATIENT} is broken")
            except ValueError:
                log.exception("stage failed")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    written = stream.getvalue()

    assert "stage lungs failed" in written
    assert "Traceback" in written
    assert "featherstone" not in written.lower()
    assert "113619" not in written
    if kind == "json":
        first = json.loads(written.splitlines()[0])
        assert {"level", "name", "message", "asctime"} <= first.keys()


def test_the_same_study_has_the_same_digest_in_every_line() -> None:
    one = without_identifiers("study Doe_1: lungs").split()[1].rstrip(":")
    other = without_identifiers("GET /studies/Doe_1/report.json").split("/")[2]

    assert one == other != without_identifiers("study Doe_2: lungs").split()[1].rstrip(":")
    assert without_identifiers("The study could not be read") == "The study could not be read"
    assert without_identifiers("suite.dicom.views: ready") == "suite.dicom.views: ready"
    for words in ("its SOP Instance UID is known", "remove that study here first"):
        assert without_identifiers(words) == words


def test_the_doctor_looks_at_a_running_service(tmp_path: Path) -> None:
    with open_house(tmp_path / "data"):
        result = CliRunner().invoke(main, ["doctor", "--json", "--data", str(tmp_path / "data")])
    found = {entry["name"]: entry for entry in json.loads(result.output)}

    for name in ("Database", "Broker", "Store", "Clock", "Data folder"):
        assert found[name]["well"], found[name]
    assert found["Workers"] == {
        "name": "Workers",
        "well": False,
        "detail": "no worker in the last 30 s; start radsuite worker",
        "required": False,
    }


def test_the_doctor_says_what_is_broken_and_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_house(tmp_path / "data"):
        monkeypatch.setenv("RADSUITE_BROKER_URL", "redis://127.0.0.1:1/0")
        result = CliRunner().invoke(main, ["doctor", "--json", "--data", str(tmp_path / "data")])
    found = {entry["name"]: entry for entry in json.loads(result.output)}

    assert result.exit_code == 1
    assert not found["Broker"]["well"]


def test_the_doctor_shows_settings_without_their_secrets(tmp_path: Path) -> None:
    settings = load_settings(
        data=tmp_path,
        secret=SECRET,
        broker_url="amqp://rabbit:carrot@queue.local//",
        database_url="postgresql+psycopg://me:pa55word@db.local/radsuite",
        port=9999,
    )
    told = shown(settings)

    assert "RADSUITE_PORT=9999" in told
    assert "queue.local" in told
    for secret in (SECRET, "carrot", "pa55word"):
        assert secret not in told


def test_a_clock_behind_the_files_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "radsuite.sqlite3").touch()
    settings = load_settings(data=tmp_path)

    assert probes.clock_is_sane(settings, time.time())
    assert not probes.clock_is_sane(settings, time.time() - 3600.0)
