"""A written report as a PDF document: text, film, who signed, and from which networks suggestions came."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from suite.errors import StorageError
from suite.records.report_rules import SECTIONS
from suite.records.written_views import WrittenView
from suite.version import __version__

INTENDED_USE = "Research use only. Not a medical device."
_FONT, _BOLD = "DejaVuSans", "DejaVuSans-Bold"
_FILM_WIDTH_MM = 62.0


@dataclass(frozen=True, slots=True)
class Cover:
    """What stands above the text.

    Attributes:
        display_id: pseudonym of the study; no patient is named.
        received_at: when the films came, seconds since 1970.
        film: the frontal film as PNG or JPEG, or ``None``.
        models: name and sha256 of the networks whose suggestions were looked at.
        read_at: when the reading was finished that the text names; ``None`` when it names none.
    """

    display_id: str
    received_at: float
    film: bytes | None
    models: Sequence[tuple[str, str]] = ()
    read_at: float | None = None


def write_pdf(written: WrittenView, cover: Cover) -> bytes:
    """The document. The same text gives the same bytes.

    A draft says on every page that it is not signed.

    Raises:
        StorageError: the fonts are not installed.
    """
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import SimpleDocTemplate

    _register_fonts()
    stream = io.BytesIO()
    document = SimpleDocTemplate(
        stream,
        pagesize=A4,
        leftMargin=22 * mm,
        rightMargin=22 * mm,
        topMargin=24 * mm,
        bottomMargin=22 * mm,
        title=f"Report of study {cover.display_id}",
        author=written.signed_by or written.changed_by,
        subject=INTENDED_USE,
        invariant=1,
    )
    frame = _Frame(cover.display_id, is_signed=written.is_signed)
    document.build(_story(written, cover), onFirstPage=frame, onLaterPages=frame)
    return stream.getvalue()


def moment(epoch: float) -> str:
    """A time as the document says it: in UTC, because a document has no reader's time zone."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M UTC")


class _Frame:
    """Head and foot of every page, and the word DRAFT across those that nobody signed."""

    def __init__(self, display_id: str, *, is_signed: bool) -> None:
        self._display_id = display_id
        self._is_signed = is_signed

    def __call__(self, canvas: Any, document: Any) -> None:
        width, height = document.pagesize
        canvas.saveState()
        canvas.setFont(_FONT, 8)
        canvas.setFillGray(0.35)
        canvas.drawString(
            document.leftMargin, height - 40, f"radsuite {__version__} · study {self._display_id}"
        )
        canvas.drawRightString(width - document.rightMargin, height - 40, INTENDED_USE)
        canvas.drawRightString(width - document.rightMargin, 36, f"Page {document.page}")
        if not self._is_signed:
            canvas.drawString(document.leftMargin, 36, "Draft: nobody has signed this text.")
            canvas.setFillGray(0.9)
            canvas.setFont(_BOLD, 92)
            canvas.translate(width / 2, height / 2)
            canvas.rotate(52)
            canvas.drawCentredString(0, -30, "DRAFT")
        canvas.restoreState()


def _story(written: WrittenView, cover: Cover) -> list[Any]:
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, Spacer

    styles = _styles()
    story: list[Any] = [Paragraph("Chest radiograph: report", styles["title"])]
    story.append(_head(written, cover, styles))
    story.append(Spacer(1, 4 * mm))
    for name, title in SECTIONS.items():
        text = written.sections.get(name, "").strip()
        if text:
            story.append(Paragraph(title, styles["heading"]))
            story += [Paragraph(_marked_up(line), styles["body"]) for line in text.split("\n")]
    for number, addendum in enumerate(written.addenda, start=1):
        story.append(Paragraph(f"Addendum {number}", styles["heading"]))
        story += [Paragraph(_marked_up(line), styles["body"]) for line in addendum.text.split("\n")]
        signed = f"Signed by {addendum.signed_by}, {moment(addendum.signed_at)}."
        signed += f" sha256 {addendum.sha256}" if addendum.sha256 else " No sha256 was kept."
        story.append(Paragraph(escape(signed), styles["small"]))
    story.append(Spacer(1, 6 * mm))
    story += [Paragraph(escape(line), styles["small"]) for line in _signature(written, cover)]
    return story


def _head(written: WrittenView, cover: Cover, styles: Mapping[str, Any]) -> Any:
    from reportlab.lib.units import mm
    from reportlab.platypus import Image, Paragraph, Table

    facts = [
        ("Study", cover.display_id),
        ("Received", moment(cover.received_at)),
        ("Reading", _reading(written, cover)),
        ("Report", "signed" if written.is_signed else "draft, not signed"),
        ("Signed by", f"{written.signed_by}, {moment(written.signed_at)}" if written.signed_at else "nobody"),
    ]
    rows = [
        [Paragraph(name, styles["small"]), Paragraph(escape(value), styles["body"])] for name, value in facts
    ]
    table = Table(rows, colWidths=[24 * mm, 72 * mm], style=[("VALIGN", (0, 0), (-1, -1), "TOP"), _tight()])
    if cover.film is None:
        return table
    picture = Image(io.BytesIO(cover.film))
    scale = _FILM_WIDTH_MM * mm / max(picture.imageWidth, picture.imageHeight)
    picture.drawWidth, picture.drawHeight = picture.imageWidth * scale, picture.imageHeight * scale
    both = Table(
        [[table, picture]],
        colWidths=[100 * mm, 66 * mm],
        style=[("VALIGN", (0, 0), (-1, -1), "TOP"), _tight()],
    )
    both.hAlign = "LEFT"
    return both


def _reading(written: WrittenView, cover: Cover) -> str:
    """Which reading lay beside the text."""
    if cover.read_at is None or written.job_id is None:
        return "not named"
    return f"finished {moment(cover.read_at)}, job {written.job_id[:8]}"


def _tight() -> tuple[Any, ...]:
    return ("LEFTPADDING", (0, 0), (-1, -1), 0)


def _signature(written: WrittenView, cover: Cover) -> list[str]:
    lines = []
    if written.signed_at is not None:
        lines.append(f"Signed by {written.signed_by}, {moment(written.signed_at)}. sha256 {written.sha256}")
    if cover.models:
        lines.append("Suggestions came from these networks; a person judged each of them:")
        lines += [f"{name}: {sha256}" for name, sha256 in cover.models]
    return lines


def _marked_up(line: str) -> str:
    """Text for a paragraph: everything in it is text, and an empty line keeps its height."""
    return escape(line) or "&nbsp;"


def _styles() -> dict[str, Any]:
    from reportlab.lib.styles import ParagraphStyle

    body = ParagraphStyle("body", fontName=_FONT, fontSize=10, leading=14.5)
    return {
        "body": body,
        "small": ParagraphStyle("small", parent=body, fontSize=8, leading=11.5, textColor="#555555"),
        "heading": ParagraphStyle("heading", parent=body, fontName=_BOLD, spaceBefore=10, spaceAfter=2),
        "title": ParagraphStyle("title", parent=body, fontName=_BOLD, fontSize=17, leading=21, spaceAfter=8),
    }


@lru_cache(maxsize=1)
def _register_fonts() -> None:
    """DejaVu Sans, which has Latin, Greek and Cyrillic letters; it comes with matplotlib."""
    from reportlab.pdfbase.pdfmetrics import registerFont
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    spec = find_spec("matplotlib")
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" if spec and spec.origin else Path()
    try:
        for name in (_FONT, _BOLD):
            registerFont(TTFont(name, str(folder / f"{name}.ttf")))
    except (OSError, TTFError) as error:
        raise StorageError(
            f"{folder}: the fonts of matplotlib are missing ({error}); install it again."
        ) from error
