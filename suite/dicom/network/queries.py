"""Searches over the table of instances as QIDO-RS asks for them (PS3.18 10.6, PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, islice
from typing import Any

from sqlalchemy import func, select

from suite.errors import InputError
from suite.jobs.database import Database
from suite.jobs.models import Instance

STUDY_UID, SERIES_UID, INSTANCE_UID = "0020000D", "0020000E", "00080018"
MODALITY, MODALITIES = "00080060", "00080061"
_CHUNK = 100
_RANGED = frozenset({"DA", "TM", "DT"})
_LITERAL = frozenset({"UI", "IS", "DS", "US", "UL", "SS", "SL", "FL", "FD", "AT"})

Attributes = dict[str, dict[str, Any]]
"""A data set in the DICOM JSON model."""


class Level(StrEnum):
    """What a search gives one answer for."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


_STUDY_TAGS = (
    *("00080020", "00080030", "00080050", "00080056", MODALITIES, "00080090", "00080201", "00081030"),
    *("00100010", "00100020", "00100030", "00100040", STUDY_UID, "00200010", "00201206", "00201208"),
)
_SERIES_TAGS = (
    *(MODALITY, "00080201", "0008103E", SERIES_UID, "00200011", "00201209"),
    *("00400244", "00400245", "00400275"),
)
_INSTANCE_TAGS = (
    *("00080016", INSTANCE_UID, "00080056", "00080201", "00200013"),
    *("00280008", "00280010", "00280011", "00280100"),
)


@dataclass(frozen=True, slots=True)
class Query:
    """One search.

    Attributes:
        level: what is searched for.
        wanted: value by tag; all must match.
        include: tags to give besides the usual ones; ``None`` for all.
        offset, limit: which of the answers.
        within_study, within_series: whether the address named them: their attributes are then left out.
    """

    level: Level
    wanted: Mapping[str, str]
    include: frozenset[str] | None = frozenset()
    offset: int = 0
    limit: int | None = None
    within_study: bool = False
    within_series: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One answer, and the UIDs that lead to it."""

    study_uid: str
    series_uid: str | None
    instance_uid: str | None
    attributes: Attributes


def tag_of(name: str) -> str:
    """A tag as eight hexadecimal digits, from them or from a keyword.

    Raises:
        InputError: it is neither.
    """
    from pydicom.datadict import tag_for_keyword

    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return name.upper()
    tag = tag_for_keyword(name)
    if tag is None:
        raise InputError(
            f"{name[:64]}: not an attribute of DICOM; give a keyword or eight hexadecimal digits."
        )
    return f"{tag:08X}"


def search(database: Database, query: Query) -> list[Found]:
    """The answers to a search, the study received last first.

    Studies are narrowed down by their UIDs in the database; everything else is compared one study at a time,
    so that the first page of a long list costs as much as that of a short one.
    """
    answers = (
        answer
        for rows in _studies(database, query)
        for answer in _answers(rows, query)
        if _is_wanted(answer, query)
    )
    end = None if query.limit is None else query.offset + query.limit
    return [_shown(answer, query) for answer in islice(answers, query.offset, end)]


@dataclass(frozen=True, slots=True)
class _Answer:
    """One study, series or instance, with its instances and with those of its study."""

    rows: Sequence[Instance]
    study: Sequence[Instance]


def _studies(database: Database, query: Query) -> Iterator[list[Instance]]:
    """Instances of each study that its UIDs do not rule out."""
    chosen = select(Instance.study_instance_uid).group_by(Instance.study_instance_uid)
    for tag, column in (
        (STUDY_UID, Instance.study_instance_uid),
        (SERIES_UID, Instance.series_instance_uid),
        (INSTANCE_UID, Instance.sop_instance_uid),
    ):
        if query.wanted.get(tag):
            chosen = chosen.where(column.in_(_uids(query.wanted[tag])))
    with database.read() as session:
        newest = func.max(Instance.received_at).desc()
        uids = list(session.scalars(chosen.order_by(newest, Instance.study_instance_uid)))
    for start in range(0, len(uids), _CHUNK):
        chunk = uids[start : start + _CHUNK]
        with database.read() as session:
            rows = list(session.scalars(select(Instance).where(Instance.study_instance_uid.in_(chunk))))
        place = {uid: number for number, uid in enumerate(chunk)}
        rows.sort(
            key=lambda row: (place[row.study_instance_uid], row.series_instance_uid, row.sop_instance_uid)
        )
        for _, members in groupby(rows, key=lambda row: row.study_instance_uid):
            yield list(members)


def _answers(study: Sequence[Instance], query: Query) -> Iterator[_Answer]:
    if query.level is Level.STUDY:
        yield _Answer(study, study)
    elif query.level is Level.SERIES:
        for _, members in groupby(study, key=lambda row: row.series_instance_uid):
            yield _Answer(list(members), study)
    else:
        for row in study:
            yield _Answer([row], study)


def _is_wanted(answer: _Answer, query: Query) -> bool:
    """Whether one instance of it has all values at once."""
    modalities = query.wanted.get(MODALITIES)
    if modalities and not any(
        _matches({"vr": "CS", "Value": [name]}, modalities) for name in _modalities(answer.study)
    ):
        return False
    rest = {tag: value for tag, value in query.wanted.items() if tag != MODALITIES and value}
    return any(
        all(_matches(row.attributes.get(tag), value) for tag, value in rest.items()) for row in answer.rows
    )


def _matches(attribute: Mapping[str, Any] | None, wanted: str) -> bool:
    """One attribute against one value: list of UIDs, range of dates or times, wildcards, or the same."""
    representation = (attribute or {}).get("vr", "")
    values = [_plain(value) for value in (attribute or {}).get("Value") or ()]
    if wanted.strip("*") == "":
        return True
    if representation == "UI":
        return bool(set(values) & set(_uids(wanted)))
    if representation in _RANGED and "-" in wanted:
        low, _, high = wanted.partition("-")
        return any((not low or value >= low) and (not high or value[: len(high)] <= high) for value in values)
    if representation in _LITERAL:
        return any(_number(value) == _number(wanted) for value in values)
    pattern = re.escape(wanted).replace(r"\*", ".*").replace(r"\?", ".")
    flags = re.DOTALL | (re.IGNORECASE if representation == "PN" else 0)
    return any(re.fullmatch(pattern, value.rstrip(), flags) for value in values)


def _plain(value: Any) -> str:
    return str(value.get("Alphabetic", "")) if isinstance(value, Mapping) else str(value)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def _uids(text: str) -> list[str]:
    return [uid for uid in re.split(r"[,\\]", text) if uid]


def _modalities(rows: Iterable[Instance]) -> list[str]:
    found = {
        _plain(value) for row in rows for value in (row.attributes.get(MODALITY) or {}).get("Value") or ()
    }
    return sorted(found)


def _shown(answer: _Answer, query: Query) -> Found:
    first = answer.rows[0]
    tags = _tags(query)
    attributes: Attributes = {
        tag: dict(value) for tag, value in first.attributes.items() if tags is None or tag in tags
    }
    attributes |= {tag: value for tag, value in _counted(answer).items() if tags is None or tag in tags}
    attributes["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
    return Found(
        first.study_instance_uid,
        None if query.level is Level.STUDY else first.series_instance_uid,
        first.sop_instance_uid if query.level is Level.INSTANCE else None,
        dict(sorted(attributes.items())),
    )


def _tags(query: Query) -> frozenset[str] | None:
    """Which attributes an answer has; those asked for are always among them."""
    if query.include is None and query.level is Level.INSTANCE:
        return None
    tags = {*query.wanted, *(query.include or ())}
    if query.level is Level.STUDY or not query.within_study:
        tags |= set(_STUDY_TAGS)
    if query.level is Level.SERIES or (query.level is Level.INSTANCE and not query.within_series):
        tags |= set(_SERIES_TAGS)
    if query.level is Level.INSTANCE:
        tags |= set(_INSTANCE_TAGS)
    uids = {Level.STUDY: 1, Level.SERIES: 2, Level.INSTANCE: 3}[query.level]
    return frozenset(tags | set((STUDY_UID, SERIES_UID, INSTANCE_UID)[:uids]))


def _counted(answer: _Answer) -> Attributes:
    """What no instance says of itself: modalities and numbers of the study and the series."""
    series = {row.series_instance_uid for row in answer.study}
    own = [row for row in answer.study if row.series_instance_uid == answer.rows[0].series_instance_uid]
    return {
        MODALITIES: {"vr": "CS", "Value": _modalities(answer.study)},
        "00201206": {"vr": "IS", "Value": [len(series)]},
        "00201208": {"vr": "IS", "Value": [len(answer.study)]},
        "00201209": {"vr": "IS", "Value": [len(own)]},
    }
