"""Removing a study: its rows, its films and readings, and what came over the wire for it."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from suite.accounts.audit import AuditTrail
from suite.accounts.principal import Principal
from suite.dicom.network.archive import Archive, made_folder
from suite.errors import ConflictError, NotFoundError
from suite.jobs.database import Database
from suite.jobs.models import Instance, Job, JobState, Study, View
from suite.jobs.store import Store


def remove_study(
    database: Database,
    store: Store,
    data: Path,
    trail: AuditTrail,
    study_id: str,
    by: Principal,
    address: str | None,
) -> None:
    """Remove everything that is kept of a study, except its lines in the audit trail.

    The rows go first, in one transaction with the line of the trail; what a crash then leaves on the disk is
    named by no row.

    Raises:
        NotFoundError: there is no such study.
        ConflictError: it is being read at the moment.
        StorageError: the disk or the database refused.
    """
    with database.write() as session:
        study = session.get(Study, study_id)
        if study is None:
            raise NotFoundError(f"{study_id}: there is no such study; look for it in the list of studies.")
        running = select(func.count()).where(Job.study_id == study_id, Job.state == JobState.RUNNING.value)
        if session.scalar(running):
            raise ConflictError(f"{study_id}: is being read; cancel that job or wait until it is done.")
        _hand_over_shared(session, study_id)
        uids = select(Instance.study_instance_uid, Instance.sop_instance_uid)
        received = [tuple(row) for row in session.execute(uids.where(Instance.study_id == study_id))]
        jobs = list(session.scalars(select(Job.id).where(Job.study_id == study_id)))
        session.execute(delete(Instance).where(Instance.study_id == study_id))
        session.delete(study)
        trail.add(session, by, "study.deleted", study_id, address=address)
        session.flush()
        abandoned = store.set_aside(study_id)
    store.discard(abandoned)
    archive = Archive(data)
    for study_uid, instance_uid in received:
        archive.remove(study_uid, instance_uid)
    for job_id in jobs:
        shutil.rmtree(made_folder(data, job_id), ignore_errors=True)


def _hand_over_shared(session: Session, study_id: str) -> None:
    """Give films that another study shows as well, a frontal that came alone before, to that study."""
    mine = select(Instance).where(Instance.study_id == study_id)
    for instance in session.scalars(mine):
        also = select(View.study_id).where(
            View.sop_instance_uid == instance.sop_instance_uid, View.study_id != study_id
        )
        other = session.scalar(also.limit(1))
        if other is not None:
            instance.study_id = other
    session.flush()
