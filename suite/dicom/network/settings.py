"""What the DICOM side of the service can be told; part of :class:`suite.settings.Settings`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, field_validator, model_validator

from suite.addresses import is_local_host

MAX_AE_TITLE = 16
"""Characters of an AE title (PS3.5 6.2, VR AE)."""


class DicomNetworkSettings(BaseModel):
    """Listener, folder watch and outbox.

    Attributes:
        listen_port: port of the C-STORE listener; ``None`` means that none is started by ``radsuite serve``.
        listen_host: address it listens on. One that others can reach needs ``listen_allow``.
        ae_title: the suite's own name in associations, as listener and as sender.
        listen_allow: who may associate: ``AET``, ``AET@address`` or ``AET@network/bits``, ``*`` for any.
        listen_any_called_title: also take associations that call the listener by another name.
        listen_certificate, listen_key: PEM files that turn TLS on.
        listen_client_ca: PEM file of the authority whose client certificates are demanded.
        listen_max_associations: associations at the same time; one more is rejected for now.
        listen_max_pdu: longest PDU taken, in bytes; 0 is no limit.
        listen_max_instance_mb: largest instance taken, in megabytes (10^6 bytes).
        listen_timeout_seconds: silence after which an association is ended.
        quiet_seconds: a study is complete when nothing came for it for so long.
        watch_folder: a folder from which films are taken; ``None`` watches none.
        watch_seconds: how often the folder is looked at; a file must not change between two looks.
        watch_move: move what was taken or refused into ``taken/`` and ``refused/`` instead of leaving it.
        send_attempts: how often an object is offered to a node before it is given up.
        send_pause_seconds, send_longest_pause_seconds: pause after the first failure, doubled each time, and
            its limit.
        send_timeout_seconds: how long a node may take to answer.
        send_ca: PEM file of the authority whose certificates nodes show; ``None`` is what the system trusts.
        send_certificate, send_key: PEM files that this suite shows to nodes that ask.
        commit_wait_seconds: how long a node may take to commit itself on the association that asked it.
        commit_seconds: how long it may take in all; what it did not commit itself to by then is sent again.
        make_dicom_results: make the DICOM objects of every reading, for DICOMweb, and not only when they are
            sent.
    """

    listen_port: int | None = Field(default=None, ge=1, le=65535)
    listen_host: str = "127.0.0.1"
    ae_title: str = "RADSUITE"
    listen_allow: tuple[str, ...] = ()
    listen_any_called_title: bool = False
    listen_certificate: Path | None = None
    listen_key: Path | None = None
    listen_client_ca: Path | None = None
    listen_max_associations: int = Field(default=16, ge=1, le=1000)
    listen_max_pdu: int = Field(default=131_072, ge=0)
    listen_max_instance_mb: int = Field(default=256, ge=1, le=4000)
    listen_timeout_seconds: float = Field(default=60.0, gt=0)
    quiet_seconds: float = Field(default=10.0, ge=0)
    watch_folder: Path | None = None
    watch_seconds: float = Field(default=2.0, gt=0)
    watch_move: bool = False
    send_attempts: int = Field(default=200, ge=1)
    send_pause_seconds: float = Field(default=5.0, gt=0)
    send_longest_pause_seconds: float = Field(default=900.0, gt=0)
    send_timeout_seconds: float = Field(default=30.0, gt=0)
    send_ca: Path | None = None
    send_certificate: Path | None = None
    send_key: Path | None = None
    commit_wait_seconds: float = Field(default=5.0, ge=0)
    commit_seconds: float = Field(default=3600.0, gt=0)
    make_dicom_results: bool = False

    @field_validator("ae_title")
    @classmethod
    def _valid_title(cls, value: str) -> str:
        return check_ae_title(value)

    @model_validator(mode="after")
    def _safe_listener(self) -> DicomNetworkSettings:
        if (self.listen_certificate is None) != (self.listen_key is None):
            raise ValueError("listen_certificate and listen_key are given together or not at all")
        if (self.send_certificate is None) != (self.send_key is None):
            raise ValueError("send_certificate and send_key are given together or not at all")
        if self.listen_client_ca is not None and self.listen_certificate is None:
            raise ValueError("listen_client_ca needs listen_certificate and listen_key")
        if self.listen_port is not None and not self.listen_allow and not is_local_host(self.listen_host):
            raise ValueError(
                f"listen_host {self.listen_host} can be reached by others, so say who may send: set "
                'RADSUITE_LISTEN_ALLOW such as ["MODALITY@10.0.0.0/24"], or ["*"] for anybody'
            )
        return self

    @property
    def max_instance_bytes(self) -> int:
        """Largest instance in bytes."""
        return self.listen_max_instance_mb * 1_000_000


def check_ae_title(value: str) -> str:
    """An AE title without its padding.

    Raises:
        ValueError: empty, longer than 16 characters, or with characters an AE title may not have.
    """
    title = value.strip(" ")
    if not title or len(title) > MAX_AE_TITLE or not title.isascii() or not title.isprintable():
        raise ValueError(f"an AE title has 1 to {MAX_AE_TITLE} printable ASCII characters")
    if "\\" in title:
        raise ValueError("an AE title has no backslash")
    return title
