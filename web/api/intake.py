"""From bytes that were handed in, whichever way, to studies: archives opened, each file's fate told."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field
from werkzeug.datastructures import FileStorage

from suite import intake
from suite.errors import InputError
from suite.jobs.store import receive
from suite.jobs.submission import Outcome as Fates
from suite.jobs.submission import Refused, Upload
from suite.records.archives import is_zip, unpack
from web.api.operations import ROOT, Reply
from web.api.problems import ProblemError, RefusedFile
from web.api.shapes import Shape
from web.services import services

MAX_NAME_LENGTH = 160
"""Characters of a file's own name that are kept, besides its ending."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
_SAFE_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}")


class Taken(Shape):
    """A study that was made of one or two files."""

    id: str
    url: str
    names: list[str]
    new: bool = Field(description="False when the very same films were handed in before")


class Outcome(Shape):
    """What became of every file."""

    accepted: list[Taken]
    refused: list[RefusedFile]


@dataclass(frozen=True, slots=True)
class Handed:
    """A file, and the lateral that was named for it."""

    film: Upload
    lateral: Upload | None = None


def spooled(item: FileStorage, folder: Path) -> Upload:
    """One file of a form, stored."""
    upload = placed(item.filename or "", folder)
    receive(item.stream, upload.path)
    return upload


def placed(name: str, folder: Path) -> Upload:
    """A harmless place for a file of that name; the name it came with is kept for people to read."""
    shown = _CONTROL.sub("", name.replace("\\", "/").rpartition("/")[2]) or "film"
    ending = Path(shown).suffix if _SAFE_ENDING.fullmatch(Path(shown).suffix) else ""
    shown = shown.removesuffix(ending)[:MAX_NAME_LENGTH] + ending
    return Upload(folder / (intake.safe_id(shown) + ending), shown)


def hand_in(staging: Path, handed: Sequence[Handed]) -> Fates:
    """Make studies of everything in a staging folder."""
    films: list[Upload] = []
    laterals: dict[int, Upload] = {}
    refused: list[Refused] = []
    for item in handed:
        if item.lateral is None and is_zip(item.film.path):
            films += _unpacked(staging, item.film, refused)
            continue
        if item.lateral is not None:
            laterals[len(films)] = item.lateral
        films.append(item.film)
    fates = services().submission.submit(staging, films, laterals) if films else Fates()
    fates.refused[:0] = refused
    return fates


def replied(fates: Fates) -> Reply:
    """The fates as an answer.

    Raises:
        ProblemError: 422, nothing could be taken.
    """
    refused = [RefusedFile(name=item.name, sentence=item.sentence) for item in fates.refused]
    if not fates.accepted:
        first = refused[0].sentence if refused else "The archive holds no film; pack the films themselves."
        raise ProblemError(422, "nothing-taken", first, refused=[item.model_dump() for item in refused])
    accepted = [
        Taken(
            id=item.study_id,
            url=f"{ROOT}/studies/{item.study_id}",
            names=list(item.names),
            new=item.is_new,
        )
        for item in fates.accepted
    ]
    detail = {"studies": [item.id for item in accepted], "refused": len(refused)}
    return Reply(Outcome(accepted=accepted, refused=refused), detail=detail)


def _unpacked(staging: Path, archive: Upload, refused: list[Refused]) -> list[Upload]:
    limit = services().settings.max_upload_bytes * 2
    try:
        found = unpack(archive.path, archive.name, staging / f"zip-{secrets.token_hex(4)}", max_bytes=limit)
    except InputError as error:
        refused.append(Refused(archive.name, str(error)))
        return []
    refused += found.refused
    if not found.films and not found.refused:
        refused.append(
            Refused(archive.name, f"{archive.name}: the archive holds no film; pack the films themselves.")
        )
    return found.films
