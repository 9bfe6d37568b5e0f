"""The broker's URL as Celery's settings, and encryption as its query says.

``rediss://`` and ``amqps://`` check the broker's certificate, against the system's authorities or those in
``ssl_ca_certs``; ``ssl_certfile`` and ``ssl_keyfile`` show one of one's own. Kombu by itself would not check
what Redis shows unless told to, and does not know these words for RabbitMQ.
"""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from suite.errors import RecipeError

REDIS = frozenset({"redis", "rediss", "sentinel"})
AMQP = frozenset({"amqp", "amqps", "pyamqp"})
ENCRYPTED = frozenset({"rediss", "amqps"})

_CHECKS = {"required": ssl.CERT_REQUIRED, "none": ssl.CERT_NONE}
_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")


def scheme_of(url: str) -> str:
    """What comes before ``://``, in small letters."""
    return url.partition("://")[0].lower()


def connection_settings(url: str) -> dict[str, Any]:
    """Celery's settings for a broker: address, transport and encryption.

    Args:
        url: one address, or several with ``;`` between them; the first one's options count for all.

    Raises:
        RecipeError: the query holds an ``ssl_`` option that is not known or cannot be used.
    """
    scheme = scheme_of(url)
    conf: dict[str, Any] = {"broker_url": url}
    if scheme in REDIS:
        kind = "SentinelTransport" if scheme == "sentinel" else "Transport"
        conf["broker_transport"] = f"suite.jobs.redis_transport:{kind}"
    if scheme in ENCRYPTED:
        addresses, options = zip(*(_split(part) for part in url.split(";")), strict=True)
        conf["broker_url"] = ";".join(addresses)
        conf["broker_use_ssl"] = _encryption(scheme, urlsplit(addresses[0]).hostname, options[0])
    return conf


def _split(url: str) -> tuple[str, dict[str, str]]:
    """An address without its ``ssl_`` options, and these."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    options = {name: query.pop(name) for name in list(query) if name.startswith("ssl_")}
    return urlunsplit(parts._replace(query=urlencode(query))), options


def _encryption(scheme: str, host: str | None, options: dict[str, str]) -> dict[str, Any]:
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise RecipeError(
            f"Setting broker_url: the option {unknown[0]} is not known; use {', '.join(_OPTIONS)}."
        )
    check = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if check not in _CHECKS:
        raise RecipeError("Setting broker_url: ssl_cert_reqs is required (the default) or none.")
    files = {name: options[name] for name in _OPTIONS[:3] if name in options}
    if scheme == "rediss":
        return {"ssl_cert_reqs": check, "ssl_check_hostname": check == "required", **files}
    words: dict[str, Any] = {name.removeprefix("ssl_"): path for name, path in files.items()}
    named = {"server_hostname": host} if check == "required" else {}
    return {"cert_reqs": _CHECKS[check], **named, **words}
