"""What Prometheus asks: read from the tables at each scrape, so that any number of web processes agree."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from suite.jobs.models import Base, Instance, Job, JobState, StageRun, Study
from suite.jobs.probes import free_bytes
from suite.jobs.workers import present
from suite.version import __version__
from web.services import Services


def exposition(services: Services) -> tuple[bytes, str]:
    """The numbers and their content type.

    Raises:
        StorageError: the database does not answer.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Tables(services))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Tables(Collector):
    """Metrics as they follow from the rows."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        now = time.time()
        with self._services.database.read() as session:
            yield from _jobs(session, now)
            yield _stages(session)
            yield _counter("radsuite_studies", "Studies taken in.", session, Study)
            yield _counter("radsuite_instances", "DICOM instances received.", session, Instance)
        alive = present(self._services.database, self._services.settings, now)
        yield GaugeMetricFamily("radsuite_workers", "Workers seen within the last lease.", value=len(alive))
        free = free_bytes(self._services.settings)
        yield GaugeMetricFamily("radsuite_disk_free_bytes", "Free space of the data folder.", value=free)
        build = GaugeMetricFamily("radsuite_build_info", "Version of the suite.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build


def _jobs(session: Session, now: float) -> Iterator[Metric]:
    """Jobs by state and queue, and how long the oldest queued one has waited."""
    counted = session.execute(select(Job.queue, Job.state, func.count()).group_by(Job.queue, Job.state))
    counts = {(queue, state): number for queue, state, number in counted}
    queues = sorted({queue for queue, _ in counts} | {"cpu"})
    jobs = GaugeMetricFamily("radsuite_jobs", "Jobs by queue and state.", labels=["queue", "state"])
    for queue in queues:
        for state in JobState:
            jobs.add_metric([queue, state.value], counts.get((queue, state.value), 0))
    yield jobs
    first = select(Job.queue, func.min(Job.created_at)).where(Job.state == JobState.QUEUED)
    oldest = {row[0]: row[1] for row in session.execute(first.group_by(Job.queue))}
    age = GaugeMetricFamily(
        "radsuite_queue_age_seconds", "Waiting time of the oldest queued job.", labels=["queue"]
    )
    for queue in queues:
        age.add_metric([queue], max(0.0, now - oldest[queue]) if queue in oldest else 0.0)
    yield age


def _stages(session: Session) -> Metric:
    """Count and sum of the seconds of finished stages."""
    seconds = SummaryMetricFamily("radsuite_stage_seconds", "Duration of stages.", labels=["stage"])
    finished = select(StageRun.stage, func.count(), func.sum(StageRun.finished_at - StageRun.started_at))
    rows = session.execute(finished.where(StageRun.finished_at.is_not(None)).group_by(StageRun.stage))
    for stage, count, total in rows:
        seconds.add_metric([stage], count_value=count, sum_value=total or 0.0)
    return seconds


def _counter(name: str, what: str, session: Session, table: type[Base]) -> Metric:
    number = session.scalar(select(func.count()).select_from(table))
    return CounterMetricFamily(name, what, value=number or 0)
