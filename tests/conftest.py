"""Servers shared by the session, the installations the job battery runs on, and which files begin first."""

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
LONGEST = (
    "test_jobs_backends.py",
    "test_pages_browser.py",
    "test_pages_browser_worklist.py",
    "test_phantom_pathology.py",
    "test_bone_evaluation.py",
    "test_organs_stage.py",
    "test_networks_stages.py",
    "test_dicom_network_sending.py",
    "test_api_studies.py",
    "test_pneumothorax_training.py",
    "test_viewer_tools.py",
    "test_ablation.py",
    "test_training_networks.py",
)
"""The files that take longest, the longest first; ``--durations=0`` says what each test takes."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share the files out, begin with the longest: one that comes last holds them up."""
    if hasattr(config, "workerinput"):
        place = {name: index for index, name in enumerate(LONGEST)}
        items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


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
