"""What one reading knows of its stages: results of earlier attempts, and stages other workers do meanwhile.

Whoever holds the job goes through its stages. In the mode ``study`` it does all of them; results are written
down only when the reading does not come to its end, so that the usual case pays one query. In the mode
``stage`` each result is written at once, and whenever several stages could run, all but one are offered to
other workers. Nobody is waited for who has not taken the offer: a lone worker does everything itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from suite.errors import StorageError
from suite.jobs.models import OfferState
from suite.jobs.offers import OfferClaim, StageOffers
from suite.jobs.queue import Claim
from suite.jobs.stage_results import StageResults
from suite.stages.memory import Done

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.05
"""How often a worker that waits for another one's stage looks at its row."""

Tell = Callable[[str, int, str], None]
"""Tells other workers of an offer: job id, attempt, stage."""


class AttemptMemory:
    """Results of earlier attempts at a study; those of this one are written down by :meth:`save`."""

    def __init__(self, results: StageResults, study_id: str, keys: Mapping[str, str]) -> None:
        self._results = results
        self._study_id = study_id
        self._keys = keys
        self._known = results.known(study_id) if keys else {}
        self._unsaved: dict[str, Done] = {}
        self.fallbacks: list[str] = []

    def choose(self, ready: Sequence[str]) -> str:
        return ready[0]

    def recall(self, stage: str) -> Done | None:
        key = self._keys.get(stage)
        done = self._results.load(self._study_id, stage, key) if key and key in self._known else None
        return self._noted(stage, done)

    def keep(self, stage: str, done: Done) -> None:
        self._unsaved[stage] = done
        self._noted(stage, done)

    def save(self) -> None:
        """Write down what this attempt made; failing to do so only costs the next attempt time."""
        for stage, done in self._unsaved.items():
            try:
                self._results.save(self._study_id, stage, self._keys[stage], done)
            except StorageError as error:
                _log.warning("study %s: stage %s is not kept: %s", self._study_id, stage, error)
        self._unsaved.clear()

    def _noted(self, stage: str, done: Done | None) -> Done | None:
        if done is not None and done.run.fallback:
            self.fallbacks.append(f"{stage}: {done.run.fallback}")
        return done


class SharedMemory(AttemptMemory):
    """The same, and stages that could run side by side are offered to other workers."""

    def __init__(
        self,
        results: StageResults,
        keys: Mapping[str, str],
        claim: Claim,
        offers: StageOffers,
        tell: Tell,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(results, claim.study_id or "", keys)
        self._claim = claim
        self._offers = offers
        self._tell = tell
        self._sleep = sleep
        self._offered: set[str] = set()
        self._mine: dict[str, OfferClaim] = {}

    def choose(self, ready: Sequence[str]) -> str:
        mine = next((stage for stage in ready if not self._is_taken(stage)), ready[0])
        for stage in ready:
            if stage != mine:
                self._offer(stage)
        return mine

    def recall(self, stage: str) -> Done | None:
        if stage in self._offered:
            return self._others(stage)
        return super().recall(stage)

    def keep(self, stage: str, done: Done) -> None:
        super().keep(stage, done)
        self.save()
        if stage in self._mine:
            self._offers.end(self._mine.pop(stage))

    def _offer(self, stage: str) -> None:
        key = self._keys[stage]
        if stage not in self._offered and key not in self._known:
            self._offered.add(stage)
            if self._offers.make(self._claim, stage, key):
                self._tell(self._claim.job_id, self._claim.attempt, stage)

    def _others(self, stage: str) -> Done | None:
        """Another worker's result, waited for while it is at work; ``None``: the stage is to be done here."""
        while True:
            claim = self._offers.take(self._claim.job_id, self._claim.attempt, stage)
            if claim is not None:
                self._mine[stage] = claim
                return None
            if self._state(stage) is not OfferState.TAKEN:
                return self._noted(stage, self._results.load(self._study_id, stage, self._keys[stage]))
            self._sleep(LOOK_SECONDS)

    def _is_taken(self, stage: str) -> bool:
        return stage in self._offered and self._state(stage) is OfferState.TAKEN

    def _state(self, stage: str) -> OfferState | None:
        return self._offers.state(self._claim.job_id, self._claim.attempt, stage)


class HelperMemory:
    """What a worker knows that does one stage of somebody else's job."""

    def __init__(self, results: StageResults, keys: Mapping[str, str], study_id: str) -> None:
        self._results = results
        self._keys = keys
        self._study_id = study_id

    def choose(self, ready: Sequence[str]) -> str:
        return ready[0]

    def recall(self, stage: str) -> Done | None:
        return self._results.load(self._study_id, stage, self._keys[stage])

    def keep(self, stage: str, done: Done) -> None:
        self._results.save(self._study_id, stage, self._keys[stage], done)
