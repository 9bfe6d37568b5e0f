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

from gan.breaks import cohort_settings, study_folder
from gan.motion import LIMIT, motion_of
from gan.pairs import pair_of
from suite.datasets.dual_energy import read_triple
from suite.datasets.manifest import FilmFile, Record
from suite.errors import DatasetError, InputError

LOGGER = logging.getLogger(__name__)

Fault = str | None
"""What is wrong with a record, in words without a full stop; ``None``: nothing."""


def fault_of_study(record: Record) -> Fault:
    """Why a dual-energy study can neither be learned from nor be measured on."""
    try:
        triple = read_triple(record)
    except InputError as error:
        return str(error).removesuffix(".")
    seen = record.attributes.get("moved")
    if seen:
        return "moved between its exposures, as index.csv says" if seen == "yes" else None
    moved = motion_of(triple.soft, triple.bone)
    return None if moved <= LIMIT else f"moved between its exposures, {moved:.4f} of at most {LIMIT}"


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
    """Dual-energy studies without those that cannot be used; each is read once, however often it is asked."""

    def __init__(self) -> None:
        self._faults: dict[FilmFile, Fault] = {}

    def of(self, records: Sequence[Record]) -> tuple[Record, ...]:
        """Those of ``records`` that can be used; the others are logged by name, in one sentence."""
        new = [record for record in records if record.frontal not in self._faults]
        found = _each(fault_of_study, new)
        self._faults |= {record.frontal: fault for record, fault in zip(new, found, strict=True)}
        named = [f"{record.id} ({fault})" for record, fault in zip(new, found, strict=True) if fault]
        if named:
            LOGGER.warning(
                "left out %d of %d dual-energy studies: %s.", len(named), len(new), ", ".join(named)
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
