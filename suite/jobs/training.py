"""Training and ablation runs as jobs: a child process does the work, its progress becomes rows.

The child is the command line itself (``radsuite train``, ``radsuite ablate``), so a run that was submitted
and one that was typed do the same. It ends with its worker, and is told to end when the job is cancelled.

Of an ablation with ``--shared`` each missing network but one is offered to other workers as a job of its own,
once the films are decoded; what nobody takes the first worker trains, and it makes the tables.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from suite.errors import InputError, StageError, StorageError
from suite.jobs.children import parent_death_signal
from suite.jobs.contracts import Publish
from suite.jobs.models import JobKind, QueueName
from suite.jobs.queue import Claim, JobQueue, Standing
from suite.settings import Settings
from suite.training.progress import PROGRESS_VARIABLE

_log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
GRACE_SECONDS = 15.0
_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
_OWN_OPTIONS = frozenset({"out", "data", "set", "device", "resume", "submit"})
"""Given by the job itself, or in fields of their own."""

Heard = Callable[[Mapping[str, Any]], None]
"""Told what a run last said of itself."""

Option = Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,30}$")]


class TrainingRequest(BaseModel):
    """What a training or ablation job asks for; kept in the job's row as JSON.

    Attributes:
        recipe: name of the network; ``None`` for an ablation.
        data: data sets by name, as folders on the machine of the worker.
        settings: ``key=value``, as for ``--set``.
        options: further options of the command by their long names; ``True`` is one without a value.
        out: folder of the results below ``<data>/training``; the job's id unless resumed.
        resume: go on from the last checkpoint in that folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str | None = Field(default=None, pattern=_NAME)
    data: dict[str, Path]
    settings: tuple[str, ...] = ()
    options: dict[Option, bool | int | str] = Field(default_factory=dict)
    out: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    resume: bool = False

    @field_validator("options")
    @classmethod
    def _only_further_ones(cls, value: dict[str, bool | int | str]) -> dict[str, bool | int | str]:
        own = sorted(_OWN_OPTIONS & set(value))
        if own:
            raise ValueError(f"{own[0]!r} is not an option of a job; the job has a place of its own for it")
        return value

    @property
    def helps(self) -> bool:
        """Whether it trains a single network of another job's ablation."""
        return self.options.get("one") is True

    @property
    def leads(self) -> bool:
        """Whether others may train networks of its ablation."""
        return self.options.get("shared") is True and not self.helps

    def for_helper(self, folder: str) -> dict[str, Any]:
        """What a helper of the ablation in ``folder`` is asked."""
        options = {**self.options, "one": True}
        return self.model_copy(update={"out": folder, "resume": True, "options": options}).model_dump(
            mode="json"
        )

    def command(self, kind: JobKind, out: Path, device: str) -> list[str]:
        """The command line that does it."""
        words = ["train", str(self.recipe)] if kind is JobKind.TRAINING else ["ablate"]
        words += ["--device", device]
        for name, folder in self.data.items():
            words += ["--data", f"{name}={folder}"]
        for setting in self.settings:
            words += ["--set", setting]
        for option, chosen in self.options.items():
            if chosen is not False:
                words.append(f"--{option}" if chosen is True else f"--{option}={chosen}")
        if self.resume:
            words.append("--resume")
        return [sys.executable, "-Pm", "suite.cli", *words, "--out", str(out)]


def training_request(kind: JobKind, content: Mapping[str, Any]) -> TrainingRequest:
    """A checked request.

    Raises:
        InputError: names what is wrong with it.
    """
    try:
        request = TrainingRequest.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "request"
        raise InputError(f"Training request, {place}: {first['msg']}; correct it.") from error
    if kind is JobKind.TRAINING and request.recipe is None:
        raise InputError("Training request: a recipe is missing; name one of `radsuite train --help`.")
    return request


def training_folder(settings: Settings, job_id: str) -> Path:
    """Where a training job's results are, on the worker's machine."""
    return settings.data / "training" / job_id


class TrainingRuns:
    """Runs training jobs in child processes, one at a time.

    ``publish`` hands the ids of helpers' jobs to the broker.
    """

    def __init__(self, settings: Settings, publish: Publish | None = None) -> None:
        self._settings = settings
        self.publish: Publish = publish or (lambda _job_id, _queue=None: None)

    def __call__(self, claim: Claim, queue: JobQueue) -> Callable[[], bool] | None:
        """Train; gives what records the outcome, or ``None`` when the job was taken away.

        Raises:
            InputError: the request cannot be used.
            StageError: the run ended with an error; the message is its own last line.
        """
        request = training_request(claim.kind, claim.request or {})
        resume = request.resume or claim.attempt > 1
        folder = training_folder(self._settings, request.out or claim.job_id)
        folder.mkdir(parents=True, exist_ok=True)
        command = request.model_copy(update={"resume": resume}).command(
            claim.kind, folder, self._settings.device
        )
        said_in = folder / (f"log-{claim.job_id[:8]}.txt" if request.helps else "log.txt")
        heard = self._dealing(claim, queue, request, folder.name) if request.leads else _nothing
        with tempfile.TemporaryDirectory() as scratch:
            progress = Path(scratch) / "progress.json"
            with said_in.open("ab") as log:
                child = _start(command, log, progress)
                standing, status = self._watch(child, claim, queue, progress, heard)
        if request.leads and standing is not Standing.LOST:
            _withdraw(queue, folder.name)
        if standing is Standing.CANCELLED:
            kept = "Cancelled; its checkpoint is kept, and trying again goes on from there."
            return lambda: queue.stop(claim, kept)
        if standing is Standing.LOST:
            return None
        if status != 0:
            said = _last_line(said_in)
            raise StageError(said or f"The run ended with status {status}; see its {said_in.name}.")
        figures = _figures(folder)
        return lambda: queue.finish(claim, folder.name, figures)

    def _watch(
        self, child: subprocess.Popen[bytes], claim: Claim, queue: JobQueue, progress: Path, heard: Heard
    ) -> tuple[Standing, int]:
        shown: Any = None
        try:
            while True:
                ended = _wait(child, LOOK_SECONDS)
                said = _read_json(progress)
                standing = _tell(queue, claim, said if said != shown else None)
                if said is not None and said != shown and standing is Standing.MINE:
                    heard(said)
                shown = said
                if ended or standing is not Standing.MINE:
                    return standing, child.poll() or 0
        finally:
            _end(child)

    def _dealing(self, claim: Claim, queue: JobQueue, request: TrainingRequest, folder: str) -> Heard:
        """Offers the missing networks once, when the run first says how many there are."""
        told = False

        def heard(said: Mapping[str, Any]) -> None:
            nonlocal told
            if told:
                return
            others = int(said["total"]) - int(said["step"]) - 1  # the first worker trains one itself
            try:
                dealt = queue.deal(claim, folder, request.for_helper(folder), others)
            except StorageError as error:  # asked again when the run says something again
                _log.warning("job %s: no helpers asked for: %s", claim.job_id, error)
                return
            told = True
            for job_id in dealt:
                self.publish(job_id, QueueName.TRAIN.value)

        return heard


def _nothing(_said: Mapping[str, Any]) -> None:
    """Of a run that nobody helps."""


def _withdraw(queue: JobQueue, folder: str) -> None:
    """Forget helpers that are not needed any more; one that stays finds nothing to do, and ends."""
    try:
        queue.withdraw(folder)
    except StorageError as error:
        _log.warning("%s: helpers' jobs not removed: %s", folder, error)


def _start(command: list[str], log: Any, progress: Path) -> subprocess.Popen[bytes]:
    _log.info("starting %s", " ".join(command[3:5]))
    return subprocess.Popen(
        command,
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env={**os.environ, PROGRESS_VARIABLE: str(progress)},
        start_new_session=True,
        preexec_fn=parent_death_signal(os.getpid()) if sys.platform == "linux" else None,
    )


def _tell(queue: JobQueue, claim: Claim, said: Mapping[str, Any] | None) -> Standing:
    """Write progress or a sign of life; a database that is away does not end hours of training."""
    try:
        return queue.beat(claim) if said is None else queue.record_progress(claim, said)
    except StorageError as error:
        _log.warning("job %s: no sign of life written: %s", claim.job_id, error)
        return Standing.MINE


def _wait(child: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(child: subprocess.Popen[bytes]) -> None:
    """Its loader processes go with it: the whole session is told."""
    if child.poll() is not None:
        return
    for number, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        if _wait(child, patience):
            return


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _figures(folder: Path) -> dict[str, Any]:
    """What lists show of a finished run: its metrics, and the files it left."""
    metrics = _read_json(folder / "metrics.json") or {}
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return {"metrics": metrics.get("scalars", metrics), "files": names}


def _last_line(log: Path) -> str | None:
    try:
        lines = log.read_bytes()[-4000:].decode(errors="replace").split("\n")
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip()), None)
