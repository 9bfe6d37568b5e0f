"""How the processes of the service write their log: one line an event, to stderr, naming no patient.

Study ids come from file names, and file names from people. Whatever line is written, study ids, file names,
DICOM names and UIDs in it are replaced by a short digest of themselves: the same study has the same digest in
every line, and nobody reads a name out of it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import warnings

from celery.platforms import SecurityWarning
from pythonjsonlogger.json import JsonFormatter

from suite.dicom.network.privacy import keep_values_out_of_logs
from suite.settings import Settings

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_FIELDS = "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s"

_STUDY = re.compile(
    r"(?P<before>\b(?:stud(?:y|ies)|reading|results of|objects of|instance|file)(?:[/ ]|%2F))"
    r"(?P<it>[^\s/:;,?\"'\\]+)",
    re.IGNORECASE,
)
_FILE = re.compile(
    r"(?P<it>(?<=/)[^/\n\"'\\:]+?|[^\s/\"'\\]+)(?P<after>\.(?:dcm|dicom|png|jpe?g|tiff?)\b(?!\.\w))",
    re.IGNORECASE,
)
"""Behind a slash a name may hold blanks; elsewhere it is one word, and no module (``suite.dicom.views``)."""

_NAME = re.compile(r"[^\W\d_][\w.'-]*\^[\w.'^-]*")
_UID = re.compile(r"(?<![\w.])\d+(?:\.\d+){5,}(?![\w.])")
_ORDINARY = frozenset(
    (
        "could",
        "cannot",
        "was",
        "is",
        "has",
        "had",
        "and",
        "or",
        "as",
        "with",
        "that",
        "this",
        "from",
        "its",
        "to",
        "uid",
        "here",
        "uids",
    )
)
"""Words after "study" that are no ids."""


def configure(settings: Settings) -> None:
    """Set the process's root logger to the settings' level; libraries speak from WARNING on.

    pydicom is silent: it quotes values it cannot read, and prints a traceback for each decoder that gives up.
    What matters of either is one sentence of :mod:`suite.dicom`, logged with the job that it ended.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(settings.log_format))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    if settings.log_level == "INFO":
        for name in ("alembic", "celery", "highdicom", "kombu"):
            logging.getLogger(name).setLevel(logging.WARNING)
    keep_values_out_of_logs()
    # Celery warns a superuser of pickled messages; only JSON is accepted here (suite.jobs.broker).
    warnings.filterwarnings("ignore", category=SecurityWarning)


def formatter(kind: str) -> logging.Formatter:
    """``text`` for people, ``json`` for collectors; both without identifiers."""
    return _Json(_FIELDS, rename_fields={"levelname": "level"}) if kind == "json" else _Text(LOG_FORMAT)


def without_identifiers(line: str) -> str:
    """A line with digests in the place of study ids, file names, person names and UIDs."""
    line = _UID.sub(lambda found: _digest(found[0]), line)
    line = _NAME.sub(lambda found: _digest(found[0]), line)
    line = _FILE.sub(lambda found: _digest(found["it"]) + found["after"], line)
    return _STUDY.sub(_hidden_study, line)


def _hidden_study(found: re.Match[str]) -> str:
    word = found["it"]
    if word.lower() in _ORDINARY or word.startswith("#"):
        return found[0]
    return found["before"] + _digest(word)


def _digest(value: str) -> str:
    return value if value.startswith("#") else f"#{hashlib.sha256(value.encode()).hexdigest()[:8]}"


class _Text(logging.Formatter):
    """One line for people, and the traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        return without_identifiers(super().format(record))


class _Json(JsonFormatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return without_identifiers(super().format(record))
