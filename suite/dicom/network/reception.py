"""The one way in for instances, whichever wire they came over: examine, keep, note."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from suite.dicom.network.acceptance import Announced
from suite.dicom.network.archive import Archive, Fate, Taken
from suite.dicom.network.index import InstanceIndex
from suite.dicom.network.notes import Note, no_notes
from suite.dicom.network.statuses import RefusedInstanceError, Status, comment, sentence, status_of
from suite.errors import StorageError, SuiteError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reception:
    """Takes instances for the listener, the folder watch and STOW-RS.

    Attributes:
        archive: where they are kept.
        index: where they are noted for searches; ``None`` leaves that to the study's completion.
        max_bytes: largest instance taken.
        note: told of what was taken and refused, without patient identifiers.
    """

    archive: Archive
    index: InstanceIndex | None
    max_bytes: int
    note: Note = no_notes

    def take(self, content: bytes, sender: str, announced: Announced | None = None) -> Taken:
        """Take one instance.

        Args:
            content: a DICOM file.
            sender: ``AET@address``, or who sent it otherwise.
            announced: what the sender said it would send.

        Raises:
            RefusedInstanceError, InputError: it is not taken; nothing was stored.
            StorageError: the disk is full or broken; nothing was stored.
        """
        try:
            if len(content) > self.max_bytes:
                raise RefusedInstanceError(
                    Status.TOO_LARGE, "instance: it is larger than is taken here; send the single film."
                )
            taken = self.archive.take(content, announced)
        except SuiteError as error:
            self._note_refusal(error, sender, announced)
            raise
        self._note_taken(taken, sender)
        return taken

    def _note_taken(self, taken: Taken, sender: str) -> None:
        uid = taken.received.instance_uid
        _log.info("instance %s of %s: %s", uid, sender, taken.fate)
        try:
            if self.index is not None:
                self.index.add(taken.path, taken.received.dataset, sender)
                if taken.fate is Fate.KNOWN and self.index.study_of(uid) is None:
                    # Its study was removed here, or the process died before the study was submitted.
                    self.archive.expect(taken.received.study_uid)
        except StorageError as error:
            _log.error("instance %s is stored and not yet noted: %s", uid, error)
        if taken.fate is Fate.NEW:
            self.note("instance.received", sender, uid, {})

    def _note_refusal(self, error: SuiteError, sender: str, announced: Announced | None) -> None:
        uid = (announced.instance_uid if announced else None) or "unnamed"
        status = status_of(error)
        _log.warning("instance %s of %s refused (0x%04X): %s", uid, sender, status, sentence(error))
        self.note("instance.refused", sender, uid, {"status": f"0x{status:04X}", "reason": comment(error)})
