"""Written reports as frozen values, and whether a signed one is still what was signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from suite.errors import StorageError
from suite.jobs.models import WrittenReport
from suite.records.report_digest import SignedAddendum, SignedContent, first_misfit, fits
from suite.records.report_rules import SECTIONS


class WrittenState(StrEnum):
    """How far a written report is."""

    DRAFT = "draft"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class AddendumView:
    """One addendum.

    Attributes:
        sha256: of what was signed and what it was added to; ``None`` in addenda that were signed before there
            were any.
    """

    text: str
    signed_by: str
    signed_at: float
    sha256: str | None


@dataclass(frozen=True, slots=True)
class WrittenView:
    """A report as it stands.

    Attributes:
        job_id: the reading it was written from; ``None`` where that was never said.
        version: counts the changes; who changes or signs says which version they have seen.
        sha256: of what was signed; ``None`` for a draft.
    """

    study_id: str
    job_id: str | None
    sections: Mapping[str, str]
    version: int
    changed_by: str
    changed_at: float
    signed_by: str | None
    signed_at: float | None
    sha256: str | None
    addenda: tuple[AddendumView, ...]

    @property
    def is_signed(self) -> bool:
        return self.signed_at is not None

    @property
    def state(self) -> WrittenState:
        return WrittenState.SIGNED if self.is_signed else WrittenState.DRAFT

    @property
    def updated_at(self) -> float:
        """When it was last changed, signed or added to: these follow each other in this order."""
        if self.addenda:
            return max(item.signed_at for item in self.addenda)
        return self.changed_at if self.signed_at is None else self.signed_at


def written_view(row: WrittenReport) -> WrittenView:
    """A row, with its addenda loaded, as a frozen value."""
    return WrittenView(
        row.study_id,
        row.job_id,
        {name: str(row.sections.get(name, "")) for name in SECTIONS},
        row.version,
        row.changed_by,
        row.changed_at,
        row.signed_by,
        row.signed_at,
        row.sha256,
        tuple(AddendumView(item.text, item.signed_by, item.signed_at, item.sha256) for item in row.addenda),
    )


def signed_content(view: WrittenView) -> SignedContent:
    """What the signature of the report stands for."""
    return SignedContent(view.study_id, view.job_id, view.sections, view.signed_by, view.signed_at)


def signed_addenda(view: WrittenView) -> list[SignedAddendum]:
    """What the signatures below its addenda stand for, the oldest first."""
    return [SignedAddendum(item.text, item.signed_by, item.signed_at) for item in view.addenda]


def check_unaltered(view: WrittenView) -> None:
    """Fail unless a signed report, its reading and its addenda are what was signed.

    Raises:
        StorageError: they are not.
    """
    what = None
    if not fits(signed_content(view), view.sha256):
        what = "the signed report"
    else:
        misfit = first_misfit(view.sha256, signed_addenda(view), [item.sha256 for item in view.addenda])
        what = None if misfit is None else f"addendum {misfit + 1} of the signed report"
    if what is not None:
        raise StorageError(
            f"{view.study_id}: {what} was altered in the database; restore it from the backup."
        )
