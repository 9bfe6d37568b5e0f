"""Which films a run can use: told before it starts, for all of its parts at once.

A hospital's dual-energy export has studies that moved, lie askew or cannot be read; they are left out. The
other sets are as their makers released them: a film of theirs that cannot be read is a broken copy, and is
refused.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from gan.breaks import cohort_settings, study_folder
from gan.motion import motion_of
from gan.pairs import pair_of
from suite.datasets.dual_energy import read_triple
from suite.datasets.manifest import FilmFile, Record
from suite.errors import DatasetError, InputError

LOGGER = logging.getLogger(__name__)

MOVED = "moved between its exposures"
STAYS = (
    " One that did not move stays in with 'no' under moved in index.csv; "
    "another motion_limit, 0 for none, holds for all."
)
"""Said where studies are left out by the filter or by what somebody saw."""

Fault = str | None
"""What is wrong with a record, in words without a full stop; ``None``: nothing."""


def fault_of_study(record: Record, motion_limit: float) -> Fault:
    """Why a dual-energy study can neither be learned from nor be measured on.

    Args:
        motion_limit: the most motion (``gan.motion``) of a study that is used; 0: however much.
    """
    try:
        triple = read_triple(record)
    except InputError as error:
        return str(error).removesuffix(".")
    seen = record.attributes.get("moved")
    if seen:
        return f"{MOVED}, as index.csv says" if seen == "yes" else None
    moved = motion_of(triple.soft, triple.bone) if motion_limit else 0.0
    return None if moved <= motion_limit else f"{MOVED}, {moved:.4f} of at most {motion_limit}"


def fault_of_film(record: Record) -> Fault:
    """Why a film and its layer cannot be read."""
    return _said_by(pair_of, record)


def fault_of_breaks(record: Record) -> Fault:
    """Why the breaks of a fractured computed chest cannot be measured: it cannot be computed again."""
    return _said_by(lambda one: cohort_settings(study_folder(one.frontal).parent), record)


def _said_by(read: Callable[[Record], object], record: Record) -> Fault:
    try:
        read(record)
    except InputError as error:
        return str(error).removesuffix(".")
    return None


class UsableStudies:
    """Dual-energy studies without those that cannot be used; each is read once, however often it is asked.

    Args:
        motion_limit: as for ``fault_of_study``.
    """

    def __init__(self, motion_limit: float) -> None:
        self._fault = partial(fault_of_study, motion_limit=motion_limit)
        self._faults: dict[FilmFile, Fault] = {}

    def of(self, records: Sequence[Record]) -> tuple[Record, ...]:
        """Those of ``records`` that can be used; the others are logged by name, with what keeps one in."""
        new = [record for record in records if record.frontal not in self._faults]
        found = _each(self._fault, new)
        self._faults |= {record.frontal: fault for record, fault in zip(new, found, strict=True)}
        named = [f"{record.id} ({fault})" for record, fault in zip(new, found, strict=True) if fault]
        if named:
            cure = STAYS if any(MOVED in each for each in named) else ""
            LOGGER.warning(
                "left out %d of %d dual-energy studies: %s.%s", len(named), len(new), ", ".join(named), cure
            )
        return tuple(record for record in records if self._faults[record.frontal] is None)


def faults(fault: Callable[[Record], Fault], records: Sequence[Record]) -> dict[str, str]:
    """What is wrong with films, by their ids; each is read once."""
    return {record.id: said for record, said in zip(records, _each(fault, records), strict=True) if said}


def refuse(found: dict[str, str]) -> None:
    """Name all films that would end a run.

    Raises:
        DatasetError: there is one.
    """
    if found:
        name, fault = next(iter(found.items()))
        raise DatasetError(
            f"{len(found)} of the films cannot be learned from or measured on: {', '.join(found)}; what is "
            f"wrong with {name}: {fault}."
        )


def _each(fault: Callable[[Record], Fault], records: Iterable[Record]) -> list[Fault]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(fault, records))
