"""Servers shared by the session, and the three installations the job battery runs on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from suite.settings import Settings, load_settings
from tests.jobs_services import (
    MissingServerError,
    Server,
    new_database,
    postgres_server,
    rabbitmq_server,
    redis_server,
)

BACKENDS = ("sqlite+files", "postgres+redis", "postgres+rabbitmq")


@pytest.fixture(scope="session")
def redis() -> Iterator[Server]:
    yield from _running(redis_server)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Server]:
    yield from _running(rabbitmq_server)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    yield from _running(postgres_server)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an installation of its own on each pair of database and broker."""
    urls = {}
    if request.param != "sqlite+files":
        broker = request.param.partition("+")[2]
        urls["database_url"] = new_database(request.getfixturevalue("postgres"))
        urls["broker_url"] = request.getfixturevalue(broker).url
    return load_settings(
        data=tmp_path / "data",
        lease_seconds=4,
        heartbeat_seconds=0.5,
        sweep_seconds=0.2,
        resend_seconds=1,
        log_level="WARNING",
        **urls,
    )


def _running(make: Callable[[], Server]) -> Iterator[Server]:
    try:
        server = make()
    except MissingServerError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    try:
        yield server.start()
    finally:
        server.close()
