"""One film from one file: DICOM, PNG, JPEG or TIFF, whichever its content says it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from suite.errors import NotARadiographError, UnreadableFileError, UnsupportedPixelsError
from suite.file_kinds import PICTURE_KINDS, FileKind, file_kind, read_head
from suite.polarity import INVERTED
from suite.study import Projection, Radiograph


def read_film(path: str | Path, *, source: str | None = None, inverted: bool = False) -> Radiograph:
    """One film from a DICOM, PNG, JPEG or TIFF file, whichever its content says it is.

    Args:
        path: the file.
        source: what to call it in the report and in errors; the path as given when omitted.
        inverted: white and black are exchanged in it, beyond what the file itself says of that.

    Raises:
        InputError: the file cannot be read, or shows no radiograph.
    """
    name = source if source is not None else str(path)
    kind = checked_kind(Path(path), name)
    if kind is FileKind.DICOM:
        from suite.dicom.reading import read_radiograph

        film = read_radiograph(path, source=name)
        if not inverted:
            return film
        steps = (*film.preprocessing, INVERTED)
        return replace(film, pixels=1.0 - film.pixels, preprocessing=steps)
    from suite.pictures import read_picture

    return read_picture(path, source=name, inverted=inverted)


def given_as_frontal(film: Radiograph) -> Radiograph:
    """A film that someone paired with a lateral: a frontal one, if its headers do not say."""
    return replace(film, projection=Projection.FRONTAL) if film.projection is Projection.UNKNOWN else film


def given_as_lateral(film: Radiograph) -> Radiograph:
    """A film that someone called the lateral, with a warning where its headers call it something else."""
    if film.projection.is_lateral:
        return film
    warnings = film.warnings
    if film.projection is not Projection.UNKNOWN:
        warnings += (f"It was given as the lateral film, and its headers call it {film.projection}.",)
    return replace(film, projection=Projection.LATERAL, warnings=warnings)


def checked_kind(path: Path, source: str) -> FileKind:
    """What kind of film a file is by its first bytes.

    Raises:
        InputError: it cannot be opened, or is of a kind that is not read.
    """
    kind = file_kind(read_head(path, source))
    if kind is FileKind.DICOM or kind in PICTURE_KINDS:
        return kind
    if kind is FileKind.OTHER_PICTURE:
        raise UnsupportedPixelsError(
            f"{source}: this picture format is not read; save the film as DICOM, PNG, JPEG or TIFF."
        )
    if kind is FileKind.PDF:
        raise NotARadiographError(
            f"{source}: this is a PDF document; give the film as DICOM, PNG, JPEG or TIFF."
        )
    if kind is FileKind.ARCHIVE:
        raise UnreadableFileError(f"{source}: this is an archive; unpack it and give the films in it.")
    raise UnreadableFileError(
        f"{source}: this is neither a DICOM nor a PNG, JPEG or TIFF file; "
        "check that it is the film you meant."
    )
