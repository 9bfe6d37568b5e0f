"""Brokers that go away at a bad moment, and brokers that are reached through TLS only."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from benchmarks.faults import settings_for
from suite.errors import RecipeError
from suite.jobs.broker import create_celery
from suite.jobs.broker_address import connection_settings
from suite.jobs.models import Job, JobState
from suite.jobs.probes import broker
from suite.settings import load_settings
from tests.jobs_fleet import Fleet
from tests.jobs_services import Server, certificates
from tests.ports import free_port


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def states(fleet: Fleet) -> list[str]:
    with fleet.database.read() as session:
        return list(session.scalars(select(Job.state)))


def test_a_worker_whose_acknowledgement_met_a_dead_redis_reads_on_afterwards(
    redis: Server, tmp_path: Path
) -> None:
    fleet = Fleet(settings_for(tmp_path, broker_url=redis.url), stage_seconds=0.2)
    try:
        fleet.hire(1)
        fleet.submit(range(1))
        until(lambda: states(fleet) == [JobState.RUNNING])
        redis.stop()
        until(lambda: states(fleet) == [JobState.DONE])  # its acknowledgement reaches nobody
        redis.start()
        fleet.submit(range(1, 3))
        assert fleet.settle(60), f"deaf: {states(fleet)}"
        assert states(fleet) == [JobState.DONE] * 3
    finally:
        fleet.close()


@pytest.mark.parametrize("name", ["redis", "rabbitmq"])
def test_films_are_read_through_a_broker_that_is_reached_by_tls(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server: Server = request.getfixturevalue(name)
    settings = settings_for(tmp_path, broker_url=server.tls_url)
    assert broker(settings).well
    fleet = Fleet(settings)
    try:
        fleet.hire(1)
        fleet.submit(range(1))
        assert fleet.settle(60)
        assert states(fleet) == [JobState.DONE]
    finally:
        fleet.close()


@pytest.mark.parametrize("name", ["redis", "rabbitmq"])
def test_a_broker_that_another_authority_vouches_for_is_not_spoken_to(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue(name).tls_url
    stranger = certificates(tmp_path)[1]
    trusting = load_settings(data=tmp_path, broker_url=f"{url.partition('=')[0]}={stranger}")
    assert not broker(trusting).well
    unasked = load_settings(data=tmp_path, broker_url=url.partition("?")[0])
    assert not broker(unasked).well, "a certificate nobody vouches for was taken"


def test_whoever_says_so_takes_any_certificate(redis: Server, tmp_path: Path) -> None:
    url = redis.tls_url.partition("?")[0] + "?ssl_cert_reqs=none"
    assert broker(load_settings(data=tmp_path, broker_url=url)).well


@pytest.mark.skipif(
    shutil.which("erl") is None and os.environ.get("CI") != "true",
    reason="Erlang is not installed; apt install rabbitmq-server",
)
def test_a_closed_server_leaves_no_name_server_behind(tmp_path: Path) -> None:
    """Erlang's refuses to end while a node lives; this node outlives the program that started it."""
    names = free_port()
    environment = {"ERL_EPMD_PORT": str(names), "ERL_EPMD_ADDRESS": "127.0.0.1", "HOME": str(tmp_path)}

    def known() -> str:
        asked = ["epmd", "-port", str(names), "-names"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout

    node = f"setsid timeout -s KILL 3 erl -sname radsuite{names}@localhost -noinput & wait"
    command = ["sh", "-c", node]
    server = Server("", names, command, tmp_path, environment, last_signal=signal.SIGKILL)
    server.ready = lambda: f"radsuite{names}" in known()
    server.start().close()
    assert "up and running" not in known()


@pytest.mark.parametrize(
    ("url", "address", "encryption"),
    [
        ("redis://queue:6379/0", "redis://queue:6379/0", None),
        (
            "rediss://queue:6380/1?ssl_ca_certs=/etc/ca.pem&health_check_interval=5",
            "rediss://queue:6380/1?health_check_interval=5",
            {"ssl_cert_reqs": "required", "ssl_check_hostname": True, "ssl_ca_certs": "/etc/ca.pem"},
        ),
        (
            "amqps://rabbit:carrot@queue//;amqps://rabbit:carrot@spare//",
            "amqps://rabbit:carrot@queue//;amqps://rabbit:carrot@spare//",
            {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "queue"},
        ),
    ],
)
def test_encryption_is_read_from_the_address(
    url: str, address: str, encryption: dict[str, Any] | None
) -> None:
    conf = connection_settings(url)
    assert (conf["broker_url"], conf.get("broker_use_ssl")) == (address, encryption)


@pytest.mark.parametrize("option", ["ssl_cert_reqs=maybe", "ssl_version=1"])
def test_an_option_of_encryption_that_is_not_known_is_named(option: str, tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path, broker_url=f"rediss://queue/0?{option}")
    with pytest.raises(RecipeError, match=option.partition("=")[0]):
        create_celery(settings)
