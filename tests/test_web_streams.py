"""Open streams never keep all of a server's threads: somebody is always left to answer."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from flask import Flask

from suite.jobs.supervisor import web_child
from suite.settings import load_settings
from tests.jobs_fakes import film_png
from tests.web_house import open_house
from web.streams import Seats, init_app, streams

PATIENCE_SECONDS = 200.0
EAGER_READERS = 6


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(data: Path, threads: int) -> Iterator[int]:
    """The pages as ``radsuite serve`` starts them, under gunicorn; gives the port."""
    settings = load_settings(data=data, port=free_port(), web_threads=threads)
    spec = web_child(settings)
    environment = {**os.environ, **spec.environment}
    server = subprocess.Popen(spec.command, env=environment, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while status(settings.port, "/healthz") != 200:
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield settings.port
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def status(port: int, path: str) -> int | None:
    """What an address answers with, or ``None`` where nobody does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except OSError:
        return None
    finally:
        connection.close()


@pytest.mark.parametrize(("threads", "most"), [(1, 0), (2, 1), (4, 3)])
def test_a_server_answers_however_many_lists_are_open(tmp_path: Path, threads: int, most: int) -> None:
    with open_house(tmp_path) as house:
        house.take("chest.png", film_png(1), "side.png", film_png(2))
        job_id = house.sent.get()  # nobody works: the job waits, and its stream stays open
    paths = ["/studies/changes", f"/api/v1/jobs/{job_id}/events"] * EAGER_READERS
    with served(tmp_path, threads) as port, ExitStack() as opened:
        answers = []
        for path in paths:
            reader = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
            opened.callback(reader.close)
            reader.request("GET", path, headers={"Accept": "text/event-stream"})
            answers.append(reader.getresponse())
        assert sum(answer.status == 200 for answer in answers) == most
        turned_away = {answer.status: answer for answer in answers if answer.status != 200}
        assert set(turned_away) == {204, 503}
        assert turned_away[503].headers["Retry-After"] == "5"
        for path in ("/", "/studies/rows", f"/api/v1/jobs/{job_id}"):
            assert status(port, path) == 200


@pytest.mark.parametrize(("threads", "live"), [(1, False), (3, False), (4, True), (16, True)])
def test_a_list_is_not_told_of_a_stream_that_cannot_be(tmp_path: Path, threads: int, live: bool) -> None:
    """It asks now and then from the start."""
    with open_house(tmp_path, web_threads=threads) as house:
        page = house.client.get("/").text
    assert re.search(r'id="rows" data-url="[^"]+"', page)
    assert ('data-changes="/studies/changes"' in page) is live


@pytest.mark.parametrize("threads", range(1, 40))
def test_one_thread_at_least_is_free(tmp_path: Path, threads: int) -> None:
    app = Flask(__name__)
    init_app(app, load_settings(data=tmp_path, web_threads=threads))
    with app.app_context():
        kinds = (streams().lists, streams().jobs)
    taken = sum(seats.take() is not None for seats in kinds for _ in range(threads))
    assert taken < threads


def test_a_seat_is_given_back_once() -> None:
    seats = Seats(1)
    give_back = seats.take()
    assert give_back is not None
    assert seats.take() is None
    give_back()
    give_back()
    assert seats.take() is not None
    assert seats.take() is None
