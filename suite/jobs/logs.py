"""How the processes of the service write their log: one line an event, to stderr."""

from __future__ import annotations

import logging
import warnings

from celery.platforms import SecurityWarning

from suite.dicom.network.privacy import keep_values_out_of_logs
from suite.settings import Settings

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def configure(settings: Settings) -> None:
    """Set the process's root logger to the settings' level; libraries speak from WARNING on."""
    logging.basicConfig(level=settings.log_level, format=LOG_FORMAT)
    if settings.log_level == "INFO":
        for name in ("alembic", "celery", "kombu"):
            logging.getLogger(name).setLevel(logging.WARNING)
    keep_values_out_of_logs()
    # Celery warns a superuser of pickled messages; only JSON is accepted here (suite.jobs.broker).
    warnings.filterwarnings("ignore", category=SecurityWarning)
