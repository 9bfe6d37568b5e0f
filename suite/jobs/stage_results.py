"""Stage results kept between attempts, keyed by study, stage and what the stage is made of."""

from __future__ import annotations

import hashlib
import logging

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from suite.errors import StageError, SuiteError
from suite.jobs.database import Database
from suite.jobs.models import StageResult
from suite.jobs.queue import Clock
from suite.jobs.store import Store
from suite.stages.memory import Done
from suite.stages.packing import pack, unpack

_log = logging.getLogger(__name__)


class StageResults:
    """Keeps what stages made of a study until one of its readings is finished."""

    def __init__(self, database: Database, store: Store, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    def known(self, study_id: str) -> dict[str, str]:
        """Stage by key of everything kept for a study."""
        wanted = select(StageResult.key, StageResult.stage).where(StageResult.study_id == study_id)
        with self._database.read() as session:
            return {row.key: row.stage for row in session.execute(wanted)}

    def load(self, study_id: str, stage: str, key: str) -> Done | None:
        """A kept result, or ``None``; one that is damaged counts as not kept."""
        wanted = select(StageResult).where(
            StageResult.study_id == study_id, StageResult.stage == stage, StageResult.key == key
        )
        with self._database.read() as session:
            row = session.scalars(wanted).one_or_none()
        if row is None:
            return None
        try:
            content = self._store.read_stage(study_id, row.path)
            if hashlib.sha256(content).hexdigest() != row.sha256:
                raise StageError(f"The kept result of stage {stage} was altered; it is made again.")
            return unpack(content)
        except SuiteError as error:
            _log.warning("study %s: %s", study_id, error)
            with self._database.write() as session:
                session.execute(delete(StageResult).where(StageResult.id == row.id))
            return None

    def save(self, study_id: str, stage: str, key: str, done: Done) -> bool:
        """Write the result, flush it, give it its name, and then its row. Saving it twice does no harm.

        Returns:
            ``False`` if the result is of a kind that cannot be kept.

        Raises:
            StorageError: the disk or the database refused.
        """
        try:
            content = pack(done)
        except StageError as error:
            _log.info("stage %s: %s", stage, error)
            return False
        path = self._store.write_stage(study_id, f"{stage}-{key[:32]}.npz", content)
        row = StageResult(
            study_id=study_id,
            stage=stage,
            key=key,
            weights_sha256=done.run.weights_sha256,
            path=path,
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            seconds=done.run.seconds,
            device=done.run.device,
            created_at=self._clock(),
        )
        same = (StageResult.study_id == study_id, StageResult.stage == stage, StageResult.key == key)
        try:
            with self._database.write() as session:
                session.execute(delete(StageResult).where(*same))
                session.add(row)
        except IntegrityError:  # somebody else saved the same at the same moment: theirs names this file too
            _log.info("stage %s of study %s was kept by another worker, too", stage, study_id)
        return True

    def forget(self, study_id: str) -> None:
        """Remove everything kept for a study: rows first, so that no row names a file that is gone."""
        with self._database.write() as session:
            gone = session.execute(delete(StageResult).where(StageResult.study_id == study_id))
        if getattr(gone, "rowcount", 0):
            self._store.discard_stages(study_id)
