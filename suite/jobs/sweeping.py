"""What a sweep puts right: jobs whose worker died, jobs whose message was lost."""

from __future__ import annotations

from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Job, JobState
from suite.jobs.requests import end_cancelled
from suite.settings import Settings


def sweep(session: Session, settings: Settings, now: float, worker: WorkerIdentity | None) -> list[Job]:
    """Release abandoned jobs, find lost messages.

    Rows that another sweeper has in hand are left to it (``SKIP LOCKED``; SQLite lets one writer in).

    Returns:
        The queued jobs whose ids are to be handed to the broker again.
    """
    running = select(Job).where(Job.state == JobState.RUNNING).with_for_update(skip_locked=True)
    released = [job for job in session.scalars(running) if is_abandoned(job, now, worker)]
    for job in released:
        _release(job, settings, now)
    session.flush()
    lost = session.scalars(_lost_messages(settings, now).with_for_update(skip_locked=True, of=Job)).all()
    again = list(dict.fromkeys((*(job for job in released if job.state == JobState.QUEUED), *lost)))
    for job in again:
        job.enqueued_at = now
    return again


def is_abandoned(job: Any, now: float, worker: WorkerIdentity | None) -> bool:
    """Whether a row's lease has run out, or its owner is a process of this host that is gone."""
    if job.lease_expires_at is None or job.lease_expires_at <= now:
        return True
    owner = WorkerIdentity.parse(job.lease_owner or "")
    return worker is not None and owner is not None and worker.knows_dead(owner)


def _release(job: Job, settings: Settings, now: float) -> None:
    job.lease_owner = job.lease_expires_at = None
    if job.cancel_requested:
        end_cancelled(job, now)
    elif job.attempts < settings.max_attempts:
        job.state = JobState.QUEUED.value
    else:
        times = "once" if job.attempts == 1 else f"{job.attempts} times"
        job.state = JobState.DEAD.value
        job.finished_at = now
        job.error = (
            f"The worker stopped {times} while it worked on this, so it was set aside; see the "
            "worker's log, and try again once the cause is gone."
        )


def _lost_messages(settings: Settings, now: float) -> Any:
    # A long queue is no loss: a job waits for its turn. It is lost when nobody works although it is old,
    # or when a job handed over after it was already begun. One handed over in the future was so by a clock
    # that has been put right since: nobody knows its age.
    later = aliased(Job)
    overtaken = select(later.id).where(
        later.queue == Job.queue,
        later.enqueued_at > Job.enqueued_at,
        later.started_at.is_not(None),
        later.started_at >= later.enqueued_at,
    )
    busy = aliased(Job)
    somebody_works = select(busy.id).where(busy.queue == Job.queue, busy.state == JobState.RUNNING)
    return select(Job).where(
        Job.state == JobState.QUEUED,
        or_(
            Job.enqueued_at <= now - settings.resend_seconds,
            Job.enqueued_at > now + settings.resend_seconds,
        ),
        or_(overtaken.exists(), ~somebody_works.exists()),
    )
