"""Files and folders to studies: which films belong together, what they are called, what was refused."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from suite.errors import InputError
from suite.file_kinds import IMAGE_SUFFIXES
from suite.film import given_as_frontal, given_as_lateral, read_film
from suite.film_search import FoundFilm, Refusal, find_films, inspect
from suite.study import Radiograph, Study

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


@dataclass(frozen=True, slots=True)
class Intake:
    """What came in: studies in the order of the inputs, refusals, and files of folders that are no images."""

    studies: tuple[StudyFiles, ...]
    refused: tuple[Refusal, ...]
    skipped: tuple[str, ...] = ()


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
    films = list(find_films(inputs, refused, skipped))
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


def _group(films: Sequence[FoundFilm]) -> Iterator[StudyFiles]:
    """Films of one study: each frontal is read on its own, the first with the lateral; no film is dropped."""
    for members in _by_study_and_patient(films):
        # The image made for presentation comes before the raw one of the same exposure.
        members.sort(key=lambda film: film.for_processing)
        frontals = [film for film in members if not film.projection.is_lateral]
        laterals = [film for film in members if film.projection.is_lateral]
        yield _study_files(frontals[0] if frontals else None, laterals[0] if laterals else None)
        for frontal in frontals[1:]:
            yield _study_files(frontal, None)
        for lateral in laterals[1:]:
            yield _study_files(None, lateral)


def _by_study_and_patient(films: Sequence[FoundFilm]) -> Iterator[list[FoundFilm]]:
    """Films of one study, apart where their headers name several patients: those are never one reading.

    A film that names nobody goes with the first patient of its study.
    """
    by_study: dict[str, dict[str, list[FoundFilm]]] = {}
    for film in sorted(films, key=lambda film: not film.patient):
        patients = by_study.setdefault(film.study, {})
        name = film.patient or next(iter(patients), "")
        patients.setdefault(name, []).append(film)
    order = {film.path: place for place, film in enumerate(films)}
    groups = [
        sorted(group, key=lambda film: order[film.path])
        for each in by_study.values()
        for group in each.values()
    ]
    yield from sorted(groups, key=lambda group: order[group[0].path])


def _pair_by_hand(
    films: Sequence[FoundFilm], lateral: str | Path, refused: list[Refusal]
) -> list[StudyFiles]:
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
        partner: FoundFilm | None = inspect(Path(lateral), str(lateral))
    except InputError as error:
        refused.append(Refusal(str(lateral), error))
        partner = None
    return [replace(_study_files(frontals[0], partner), paired_by_hand=partner is not None)]


def _study_files(frontal: FoundFilm | None, lateral: FoundFilm | None) -> StudyFiles:
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
