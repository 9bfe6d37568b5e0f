"""The listener: verification, storage of projection radiographs, storage commitment; one thread a caller."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from suite.dicom.network.acceptance import Announced
from suite.dicom.network.allow_list import AllowList, parse
from suite.dicom.network.classes import ACCEPTED_CLASSES, accepted_syntaxes
from suite.dicom.network.commitment import PUSH_MODEL, SYNTAXES
from suite.dicom.network.commitment_provider import CommitmentProvider
from suite.dicom.network.reception import Reception
from suite.dicom.network.statuses import RefusedInstanceError, Status, comment, status_of
from suite.dicom.network.tls import server_context
from suite.errors import InputError, SuiteError
from suite.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset
    from pynetdicom.association import Association
    from pynetdicom.events import Event

_log = logging.getLogger(__name__)

_VERIFICATION = "1.2.840.10008.1.1"
_REJECTED_PERMANENTLY, _BY_USER, _CALLING_TITLE_UNKNOWN = 0x01, 0x01, 0x03
ANSWER_SECONDS = 2.0
"""How long the listener waits at its end for an answer about storage commitment that is on its way."""

_COMMAND_ALLOWANCE = 1 << 20
"""Bytes that a message may have besides its instance."""


@dataclass(slots=True)
class Listener:
    """Answers C-ECHO and C-STORE on the settings' address until :meth:`stop`.

    Args:
        settings: address, allow-list, TLS and limits.
        reception: takes the instances.
        commitment: answers for what is kept; ``None`` leaves storage commitment out.
    """

    settings: Settings
    reception: Reception
    commitment: CommitmentProvider | None = None
    _server: Any = None
    _allowed: AllowList = field(default_factory=lambda: AllowList(()))
    _received: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> int:
        """Listen in threads of their own; gives the port.

        Raises:
            RecipeError: the allow-list has a line that is not read.
            InputError: the address cannot be bound, or a TLS file cannot be used.
        """
        self._allowed = parse(self.settings.listen_allow)
        address = (self.settings.listen_host, self.settings.listen_port or 0)
        try:
            self._server = self._entity().start_server(
                address, block=False, ssl_context=self._tls(), evt_handlers=self._handlers()
            )
        except OSError as error:
            raise InputError(
                f"{address[0]}:{address[1]} cannot be listened on ({error.strerror}); stop what uses it, "
                "or choose another port."
            ) from error
        port: int = self._server.server_address[1]
        _log.info("listening for DICOM as %s on %s:%d", self.settings.ae_title, address[0], port)
        return port

    def stop(self) -> None:
        """End all associations and give the port back."""
        if self._server is not None:
            if self.commitment is not None:
                self.commitment.wait(ANSWER_SECONDS)
            self._server.shutdown()
            self._server = None

    def _entity(self) -> Any:
        from pynetdicom import AE

        entity = AE(ae_title=self.settings.ae_title)
        entity.require_called_aet = not self.settings.listen_any_called_title
        entity.maximum_associations = self.settings.listen_max_associations
        entity.maximum_pdu_size = self.settings.listen_max_pdu
        entity.network_timeout = self.settings.listen_timeout_seconds
        entity.acse_timeout = min(30.0, self.settings.listen_timeout_seconds)
        entity.dimse_timeout = self.settings.listen_timeout_seconds
        entity.add_supported_context(_VERIFICATION)
        for class_uid in ACCEPTED_CLASSES:
            entity.add_supported_context(class_uid, list(accepted_syntaxes()))
        if self.commitment is not None:
            entity.add_supported_context(PUSH_MODEL, list(SYNTAXES), scu_role=True, scp_role=True)
        return entity

    def _tls(self) -> Any:
        settings = self.settings
        if settings.listen_certificate is None or settings.listen_key is None:
            return None
        return server_context(settings.listen_certificate, settings.listen_key, settings.listen_client_ca)

    def _handlers(self) -> list[tuple[Any, Any]]:
        from pynetdicom import evt

        answering = self.commitment
        commitment: list[tuple[Any, Any]] = []
        if answering is not None:
            commitment = [
                (evt.EVT_N_ACTION, answering.on_action),
                (evt.EVT_N_EVENT_REPORT, answering.on_report),
            ]
        return [
            *commitment,
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_REJECTED, self._on_rejected),
            (evt.EVT_ESTABLISHED, self._on_established),
            (evt.EVT_PDU_RECV, self._on_pdu),
            (evt.EVT_DIMSE_RECV, self._on_message),
            (evt.EVT_CONN_CLOSE, self._on_close),
            (evt.EVT_C_STORE, self._on_store),
        ]

    def _on_requested(self, event: Event) -> None:
        """Reject callers who are not on the list, before anything is negotiated."""
        association = event.assoc
        request = association.requestor.primitive
        title = request.calling_ae_title if request is not None else ""
        if self._allowed.admits(title, association.requestor.address):
            return
        association.acse.send_reject(_REJECTED_PERMANENTLY, _BY_USER, _CALLING_TITLE_UNKNOWN)
        association.kill()
        actor = f"{title.strip()}@{association.requestor.address}"
        _log.warning("association of %s rejected: not on the allow-list (listen_allow)", actor)
        self.reception.note("association.rejected", actor, self.settings.ae_title, {})

    def _on_rejected(self, event: Event) -> None:
        """Say what the library rejected, so that who set up the other side finds it here."""
        request = event.assoc.requestor.primitive
        called = str(request.called_ae_title).strip() if request is not None else ""
        if self.settings.listen_any_called_title or called == self.settings.ae_title:
            reason = f"{self.settings.listen_max_associations} are open already (listen_max_associations)"
        else:
            reason = f"it calls {called!a} and this is {self.settings.ae_title}; correct the title there"
        _log.warning("association of %s rejected: %s", _actor(event), reason)
        self.reception.note("association.rejected", _actor(event), self.settings.ae_title, {"reason": reason})

    def _on_established(self, event: Event) -> None:
        if not event.assoc.accepted_contexts:
            _log.warning("association of %s: nothing it offers is taken; send CR or DX films", _actor(event))

    def _on_pdu(self, event: Event) -> None:
        """Abort an association whose message outgrows the limit, while it arrives and not afterwards."""
        data = getattr(event.pdu, "presentation_data_value_items", None)
        if data is None:
            return
        key = id(event.assoc)
        with self._lock:
            self._received[key] = self._received.get(key, 0) + event.pdu.pdu_length
            size = self._received[key]
        if size > self.settings.max_instance_bytes + _COMMAND_ALLOWANCE:
            self._uncounted(event.assoc)
            _log.warning("association of %s aborted: its instance is too large", _actor(event))
            facts = {"reason": "instance too large"}
            self.reception.note("association.aborted", _actor(event), self.settings.ae_title, facts)
            event.assoc.abort()

    def _on_message(self, event: Event) -> None:
        """The message is complete; the next is counted from nothing."""
        self._uncounted(event.assoc)

    def _uncounted(self, association: Association) -> int:
        """Forget how many bytes of an unfinished message came, and say how many."""
        with self._lock:
            return self._received.pop(id(association), 0)

    def _on_close(self, event: Event) -> None:
        size = self._uncounted(event.assoc)
        if size:
            _log.warning(
                "association of %s broke off after %d bytes of an instance; nothing of it is kept",
                _actor(event),
                size,
            )

    def _on_store(self, event: Event) -> int | Dataset:
        """Keep one instance; the status says what became of it."""
        try:
            with _memory_errors():
                request: Any = event.request
                announced = Announced(str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
                self.reception.take(event.encoded_dataset(), _actor(event), announced)
        except SuiteError as error:
            return _answer(error)
        except Exception:  # noqa: BLE001 -- the sender is owed an answer, and the listener lives on
            _log.exception("an instance of %s could not be handled", _actor(event))
            return int(Status.PROCESSING_FAILURE)
        return int(Status.SUCCESS)


def _answer(error: SuiteError) -> Dataset:
    from pydicom.dataset import Dataset

    answer = Dataset()
    answer.Status = int(status_of(error))
    answer.ErrorComment = comment(error)
    return answer


def _actor(event: Event) -> str:
    requestor = event.assoc.requestor
    return f"{str(requestor.ae_title).strip()}@{requestor.address}"


@contextmanager
def _memory_errors() -> Iterator[None]:
    """A machine out of memory is out of resources, as one out of disk is."""
    try:
        yield
    except MemoryError as error:
        raise RefusedInstanceError(
            Status.OUT_OF_RESOURCES, "instance: there is no memory for it now; send it again later."
        ) from error
