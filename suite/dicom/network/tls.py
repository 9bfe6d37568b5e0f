"""TLS for associations (PS3.15 B.9, BCP 195): version 1.2 or later, client certificates on demand."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from suite.errors import InputError


class _LateHandshake(ssl.SSLContext):
    """Shakes hands when the association's own thread reads first.

    The listener wraps a socket in the thread that takes connections; a caller who says nothing would keep all
    others out if the handshake were awaited there.
    """

    def wrap_socket(self, sock: socket.socket, *args: Any, **options: Any) -> ssl.SSLSocket:
        """As the parent's, without the handshake."""
        return super().wrap_socket(sock, *args, **{**options, "do_handshake_on_connect": False})


def server_context(certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    """Of the listener; with ``client_ca`` callers must show a certificate of that authority.

    Raises:
        InputError: a file is missing or is no PEM file of its kind.
    """
    context = _LateHandshake(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, certificate, key)
    if client_ca is not None:
        _trust(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Of the sender: the node must show a certificate of ``ca``, or of an authority the system trusts.

    Raises:
        InputError: a file is missing or is no PEM file of its kind.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _trust(context, ca)
    if certificate is not None:
        _load(context, certificate, key)
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"{certificate}: certificate or key cannot be used ({_reason(error)}); give matching PEM files."
        ) from error


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"{ca}: the authority's certificate cannot be used ({_reason(error)}); give a PEM file."
        ) from error


def _reason(error: OSError) -> str:
    return error.strerror or getattr(error, "reason", None) or str(error)
