"""A small version of each fault that ``benchmarks/faults.py`` counts in large."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.faults import clock_jump, full_disk, kill_server, settings_for, small_disk
from suite.jobs.broker import create_celery
from suite.jobs.models import Job
from tests.jobs_fleet import Findings, Fleet


def after(scenario: Callable[[], tuple[Fleet, str]]) -> Findings:
    """What is found once every job has come to its end."""
    fleet, _ = scenario()
    try:
        assert fleet.settle(), "a job did not come to its end"
        fleet.dismiss()
        return fleet.audit()
    finally:
        fleet.close()


def test_a_server_killed_while_it_takes_films_in_keeps_what_it_confirmed(tmp_path: Path) -> None:
    found = after(lambda: kill_server(settings_for(tmp_path), 2))
    assert found.sound, str(found)
    assert found.studies >= 2


def test_a_clock_that_jumps_loses_nothing(tmp_path: Path) -> None:
    found = after(lambda: clock_jump(settings_for(tmp_path)))
    assert found.sound, str(found)
    assert (found.studies, found.done) == (8, 8)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux"
)
def test_a_full_disk_refuses_and_goes_on_when_there_is_space_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        found = after(lambda: full_disk(settings_for(disk)))
    assert found.sound, str(found)
    assert found.states["dead"] == 0
    assert found.done >= 3


def test_a_table_of_the_queue_that_a_full_disk_cut_short_is_written_anew(tmp_path: Path) -> None:
    app = create_celery(settings_for(tmp_path))
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        table = Path(channel.control_folder) / "films.exchange"
        table.parent.mkdir(exist_ok=True)
        table.write_bytes(b"")
        assert channel.get_table("films") == []
        channel._queue_bind("films", "cpu", "", "films.cpu")
        assert [tuple(each) for each in channel.get_table("films")] == [("cpu", "", "films.cpu")]


def test_a_film_that_kills_every_worker_is_set_aside_with_a_sentence_and_the_next_one_is_read(
    tmp_path: Path,
) -> None:
    settings = settings_for(tmp_path).model_copy(update={"max_attempts": 2})
    fleet = Fleet(settings, stage_seconds=0.3)
    fleet.submit(range(1))
    fleet.hire()
    for _ in range(2):
        assert fleet.kill_in_mid_task()
    fleet.submit(range(1, 2))
    assert fleet.settle()
    with fleet.database.read() as session:
        errors = {job.study_id: job.error for job in session.query(Job)}
    found = after(lambda: (fleet, ""))
    assert found.sound, str(found)
    assert found.states == {"dead": 1, "done": 1}
    assert errors["film1"] is None
    assert str(errors["film0"]).startswith("The worker stopped 2 times while it worked on this, so it was")
