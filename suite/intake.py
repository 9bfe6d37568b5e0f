"""Files and folders to studies: which films belong together, what they are called, what was refused."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from suite.errors import InputError, NotARadiographError, UnreadableFileError, UnsupportedPixelsError
from suite.file_kinds import IMAGE_SUFFIXES, PICTURE_KINDS, FileKind, file_kind, read_head
from suite.polarity import INVERTED
from suite.study import Projection, Radiograph, Study

_STEM_SUFFIXES = IMAGE_SUFFIXES
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_ID = 100


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """The files of one study; headers were read, pixels were not.

    Attributes:
        id: safe, unique folder name.
        frontal, lateral: the files, at least one of them.
        frontal_source, lateral_source: the files' paths as given, for reports and messages.
        paired_by_hand: the lateral was named by the user, which also makes the other film a frontal one.
    """

    id: str
    frontal: Path | None
    lateral: Path | None
    frontal_source: str | None = None
    lateral_source: str | None = None
    paired_by_hand: bool = False

    def load(self) -> Study:
        """The study with its pixels.

        Raises:
            InputError: one of its films cannot be read.
        """
        frontal = self._load_frontal() if self.frontal is not None else None
        lateral = self._load_lateral() if self.lateral is not None else None
        return Study(self.id, frontal, lateral)

    def load_or_refuse(self) -> tuple[Study | None, tuple[Refusal, ...]]:
        """The study with those of its films that can be read, and a refusal for each that cannot."""
        films: dict[str, Radiograph | None] = {"frontal": None, "lateral": None}
        refused = []
        for view, path, load in (
            ("frontal", self.frontal, self._load_frontal),
            ("lateral", self.lateral, self._load_lateral),
        ):
            try:
                films[view] = load() if path is not None else None
            except InputError as error:
                source = self.frontal_source if view == "frontal" else self.lateral_source
                refused.append(Refusal(source or str(path), error))
        if films["frontal"] is None and films["lateral"] is None:
            return None, tuple(refused)
        return Study(self.id, films["frontal"], films["lateral"]), tuple(refused)

    def _load_frontal(self) -> Radiograph:
        film = read_film(self.frontal or "", source=self.frontal_source)
        return given_as_frontal(film) if self.paired_by_hand else film

    def _load_lateral(self) -> Radiograph:
        film = read_film(self.lateral or "", source=self.lateral_source)
        return given_as_lateral(film) if self.paired_by_hand else film


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that was not taken, and why."""

    source: str
    error: InputError


@dataclass(frozen=True, slots=True)
class Intake:
    """What came in: studies in the order of the inputs, refusals, and files of folders that are no images."""

    studies: tuple[StudyFiles, ...]
    refused: tuple[Refusal, ...]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Film:
    """One readable file: what its headers tell."""

    path: Path
    source: str
    study: str
    projection: Projection
    for_processing: bool = False


def collect(inputs: Sequence[str | Path], *, lateral: str | Path | None = None) -> Intake:
    """Sort files and folders into studies.

    Folders are searched recursively, hidden files and DICOMDIR are passed over, and files that do not look
    like images are listed in ``skipped``. A file named explicitly is always read or refused.

    Args:
        inputs: files and folders, in the order in which their studies shall come.
        lateral: the lateral film of the one study among the inputs.

    Raises:
        InputError: ``lateral`` was given and the inputs do not hold exactly one other film.
    """
    refused: list[Refusal] = []
    skipped: list[str] = []
    films = list(_films(inputs, refused, skipped))
    studies = list(_group(films)) if lateral is None else _pair_by_hand(films, lateral, refused)
    return Intake(tuple(_named(studies)), tuple(refused), tuple(skipped))


def read_study(frontal: str | Path, *, lateral: str | Path | None = None) -> Study:
    """One study from a file, or from a folder that holds the films of one study.

    Raises:
        InputError: a film cannot be read, or the folder holds no study or several.
    """
    found = collect([frontal], lateral=lateral)
    if found.refused and (not found.studies or not os.path.isdir(frontal) or lateral is not None):
        raise found.refused[0].error
    if len(found.studies) != 1:
        raise InputError(
            f"{frontal}: it holds {len(found.studies)} studies and one is read here; "
            "name the file, or give the folder to 'radsuite analyze'."
        )
    return found.studies[0].load()


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
    kind = _checked_kind(Path(path), name)
    if kind is FileKind.DICOM:
        from suite.dicom.reading import read_radiograph

        film = read_radiograph(path, source=name)
        if not inverted:
            return film
        steps = (*film.preprocessing, INVERTED)
        return replace(film, pixels=1.0 - film.pixels, preprocessing=steps)
    from suite.pictures import read_picture

    return read_picture(path, source=name, inverted=inverted)


def _films(inputs: Iterable[str | Path], refused: list[Refusal], skipped: list[str]) -> Iterator[_Film]:
    """Every readable file, each once, in a stable order."""
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
                yield _inspect(path, source)
            except InputError as error:
                refused.append(Refusal(source, error))


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


def _inspect(path: Path, source: str) -> _Film:
    """What the headers of one file tell, after every check that needs no pixels."""
    if _checked_kind(path, source) is not FileKind.DICOM:
        from suite.pictures import check_picture

        check_picture(path, source=source)
        return _Film(path, source, f"file {path.resolve()}", Projection.UNKNOWN)
    from suite.dicom.attributes import text
    from suite.dicom.reading import read_header
    from suite.dicom.rules import is_for_processing
    from suite.dicom.views import find_view

    header = read_header(path, source=source)
    study = text(header, "StudyInstanceUID") or f"file {path.resolve()}"
    return _Film(path, source, study, find_view(header).projection, is_for_processing(header))


def _checked_kind(path: Path, source: str) -> FileKind:
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


def _no_films(source: str) -> InputError:
    return InputError(f"{source}: the folder holds no DICOM, PNG, JPEG or TIFF film; check the path.")


def _group(films: Sequence[_Film]) -> Iterator[StudyFiles]:
    """Films of one study: each frontal is read on its own, the first with the lateral; no film is dropped."""
    by_study: dict[str, list[_Film]] = {}
    for film in films:
        by_study.setdefault(film.study, []).append(film)
    for members in by_study.values():
        # The image made for presentation comes before the raw one of the same exposure.
        members.sort(key=lambda film: film.for_processing)
        frontals = [film for film in members if not film.projection.is_lateral]
        laterals = [film for film in members if film.projection.is_lateral]
        yield _study_files(frontals[0] if frontals else None, laterals[0] if laterals else None)
        for frontal in frontals[1:]:
            yield _study_files(frontal, None)
        for lateral in laterals[1:]:
            yield _study_files(None, lateral)


def _pair_by_hand(films: Sequence[_Film], lateral: str | Path, refused: list[Refusal]) -> list[StudyFiles]:
    frontals = [film for film in films if film.path.resolve() != Path(lateral).resolve()]
    if films and not frontals:
        raise InputError(
            f"--lateral {lateral}: is the same file as the frontal film; give the lateral, or leave it out."
        )
    if len(frontals) != 1:
        raise InputError(
            f"--lateral {lateral}: it belongs to one film and {len(frontals)} readable ones were given; "
            "give exactly one frontal film with it."
        )
    try:
        partner: _Film | None = _inspect(Path(lateral), str(lateral))
    except InputError as error:
        refused.append(Refusal(str(lateral), error))
        partner = None
    return [replace(_study_files(frontals[0], partner), paired_by_hand=partner is not None)]


def _study_files(frontal: _Film | None, lateral: _Film | None) -> StudyFiles:
    return StudyFiles(
        id="",
        frontal=frontal.path if frontal else None,
        lateral=lateral.path if lateral else None,
        frontal_source=frontal.source if frontal else None,
        lateral_source=lateral.source if lateral else None,
    )


def _named(studies: Iterable[StudyFiles]) -> Iterator[StudyFiles]:
    """Each study with an id from its film's file name, unique also where upper and lower case are one."""
    taken: set[str] = set()
    for study in studies:
        base = safe_id((study.frontal or study.lateral or Path("study")).name)
        name, count = base, 1
        while name.lower() in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name.lower())
        yield replace(study, id=name)


def safe_id(file_name: str) -> str:
    """A file name without its image suffix, as a folder name that every file system and URL takes."""
    stem, suffix = Path(file_name).stem, Path(file_name).suffix
    base = stem if suffix.lower() in _STEM_SUFFIXES else file_name
    ascii_only = unicodedata.normalize("NFKD", base).encode("ascii", "ignore").decode()
    return _UNSAFE.sub("-", ascii_only).lstrip("._-")[:_MAX_ID].rstrip(".-") or "study"
