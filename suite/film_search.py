"""Films among files and folders: what a folder holds, what the headers of each file tell, what is refused."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from suite.errors import InputError, UnreadableFileError
from suite.file_kinds import IMAGE_SUFFIXES, PICTURE_KINDS, FileKind, file_kind, read_head
from suite.film import checked_kind
from suite.study import Projection


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that was not taken, and why."""

    source: str
    error: InputError


@dataclass(frozen=True, slots=True)
class FoundFilm:
    """One readable file: what its headers tell; ``patient`` is empty where they name none."""

    path: Path
    source: str
    study: str
    projection: Projection
    for_processing: bool = False
    patient: str = ""


def find_films(
    inputs: Iterable[str | Path], refused: list[Refusal], skipped: list[str]
) -> Iterator[FoundFilm]:
    """Every readable film, each once, in a stable order.

    Args:
        inputs: files and folders; folders are searched recursively.
        refused: takes what claims to be a film and is none that is read.
        skipped: takes the files of folders that do not look like images.
    """
    seen: set[Path] = set()
    for given in inputs:
        paths, before = [Path(given)], len(refused)
        if os.path.isdir(given):  # unlike Path.is_dir, says no where it may not look
            paths = sorted(_candidates(Path(given), refused, skipped), key=_natural_order)
            if not paths and len(refused) == before:
                refused.append(Refusal(str(given), _no_films(str(given))))
        for path in paths:
            # The first input keeps the exact words of the user; files of a folder continue them.
            source = str(given) if path == Path(given) else str(path)
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            try:
                yield inspect(path, source)
            except InputError as error:
                refused.append(Refusal(source, error))


def inspect(path: Path, source: str) -> FoundFilm:
    """What the headers of one file tell, after every check that needs no pixels.

    Args:
        source: what to call the file in errors.

    Raises:
        InputError: the file cannot be opened, or shows no radiograph that is read.
    """
    if checked_kind(path, source) is not FileKind.DICOM:
        from suite.pictures import check_picture

        check_picture(path, source=source)
        return FoundFilm(path, source, f"file {path.resolve()}", Projection.UNKNOWN)
    from suite.dicom.attributes import text
    from suite.dicom.reading import read_header
    from suite.dicom.rules import is_for_processing
    from suite.dicom.views import find_view

    header = read_header(path, source=source)
    study = text(header, "StudyInstanceUID") or f"file {path.resolve()}"
    projection, patient = find_view(header).projection, text(header, "PatientID") or ""
    return FoundFilm(path, source, study, projection, is_for_processing(header), patient)


def _candidates(folder: Path, refused: list[Refusal], skipped: list[str]) -> Iterator[Path]:
    """Files below a folder that are images or claim to be; a folder that cannot be opened is refused."""
    try:
        entries = sorted(folder.iterdir(), key=_natural_order)
    except OSError as error:
        sentence = f"{folder}: the folder cannot be opened ({error.strerror}); check its rights."
        refused.append(Refusal(str(folder), UnreadableFileError(sentence)))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if os.path.isdir(entry):
            if not entry.is_symlink():
                yield from _candidates(entry, refused, skipped)
        elif entry.name.upper() != "DICOMDIR" and os.path.isfile(entry):
            if _claims_to_be_image(entry):
                yield entry
            else:
                skipped.append(str(entry))


def _claims_to_be_image(path: Path) -> bool:
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        kind = file_kind(read_head(path, str(path)))
    except InputError:
        return False
    return kind is FileKind.DICOM or kind in PICTURE_KINDS


def _natural_order(path: Path) -> tuple[tuple[tuple[int, str], ...], ...]:
    """Numbers in names are ordered as numbers: IM2 before IM10."""
    return tuple(
        tuple(
            (int(piece), "") if piece.isdecimal() else (-1, piece.lower())
            for piece in re.split(r"(\d+)", part)
        )
        for part in path.parts
    )


def _no_films(source: str) -> InputError:
    return InputError(f"{source}: the folder holds no DICOM, PNG, JPEG or TIFF film; check the path.")
