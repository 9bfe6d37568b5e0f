"""What all tables share.

Times are seconds since 1970 (UTC) as double precision: they compare the same in every database, and a test
can inject its own clock. Tables change by migration only (``suite/jobs/migrations``).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import Double


class Base(DeclarativeBase):
    """Common registry of all tables."""

    type_annotation_map = {  # noqa: RUF012 -- read by SQLAlchemy as it is
        float: Double(),
        dict[str, Any]: JSON(),
        list[str]: JSON(),
    }
