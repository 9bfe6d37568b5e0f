"""What libraries may say: pydicom's log quotes values it cannot read, and such a value may be a name."""

from __future__ import annotations

import logging


def keep_values_out_of_logs() -> None:
    """Silence the parser's log; what matters of it is worded by :mod:`suite.dicom` without values."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
