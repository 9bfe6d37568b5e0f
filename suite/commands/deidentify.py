"""``radsuite deidentify``: DICOM files without their patients, and a table of what was done."""

from __future__ import annotations

import csv
import io
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from suite.commands.console import error_line, output, progress_bar
from suite.errors import InputError, SuiteError
from suite.file_kinds import FileKind, file_kind, read_head
from suite.storage import write_text

if TYPE_CHECKING:
    from suite.dicom.deidentification.files import Result

SECRET_VARIABLE = "RADSUITE_DEIDENTIFY_SECRET"
TABLE = "deidentification.csv"


def deidentify(
    inputs: Sequence[str],
    out: Path,
    *,
    keep: Sequence[str],
    clean_pixels: bool,
    table: bool,
    secret: str | None,
) -> int:
    """De-identify files and folders into ``out``; a bad file is told and does not stop the rest.

    What lies in ``out`` is no input where ``out`` is inside a folder that is given: it may be of an earlier
    run, and pseudonyms of pseudonyms belong to nobody.

    Returns:
        Exit status: 0, 2 when a file was refused, 1 when the suite failed.

    Raises:
        InputError: an input is not there, is ``out`` itself, or the options cannot be used.
    """
    for name in inputs:
        _check_input(name, out)
    from suite.dicom.deidentification.files import deidentify_file
    from suite.dicom.deidentification.pseudonyms import Pseudonyms

    if secret is None:
        secret = secrets.token_urlsafe(32)
        error_line(
            "Without a secret, pseudonyms and dates of this run cannot be made again; set "
            f"{SECRET_VARIABLE} or give --secret-file."
        )
    paths, passed_over = _files(inputs, out)
    if passed_over:
        error_line(
            f"passed over, because --out is inside an input: {passed_over} files in {out}; "
            "name those that are still to be de-identified one by one."
        )
    one = partial(
        deidentify_file, out=out, pseudonyms=Pseudonyms(secret), keep=keep, clean_pixels=clean_pixels
    )
    results, exit_code = _deidentify_each(paths, one)
    if table and results:
        write_text(out / TABLE, _table(results))
    output(f"{len(results)} of {len(paths)} files, {len({r.patient for r in results})} patients: {out}")
    return exit_code


def _deidentify_each(
    paths: Sequence[Path], deidentify_one: Callable[[Path], Result]
) -> tuple[list[Result], int]:
    """What came of the files that were taken, and the exit status."""
    results: list[Result] = []
    exit_code = 0
    with progress_bar() as progress:
        task = progress.add_task("De-identifying", total=len(paths))
        for path in paths:
            try:
                result = deidentify_one(path)
                results.append(result)
                for warning in result.warnings:
                    error_line(f"{result.path.name}: {warning}.")
            except SuiteError as error:
                error_line(str(error))
                exit_code = max(exit_code, error.exit_code) if exit_code != 1 else 1
            progress.advance(task)
    return results, exit_code


def _check_input(name: str, out: Path) -> None:
    """An input must be there, and films with patients must not lie among those without."""
    if not Path(name).exists():
        raise InputError(f"{name}: there is no such file or folder; check the path.")
    if Path(name).resolve() == out.resolve():
        raise InputError(f"--out {out}: is the folder of the films themselves; give another folder.")


def _files(inputs: Sequence[str], out: Path) -> tuple[list[Path], int]:
    """Files as named, and what in folders begins like DICOM; how many in ``out`` were passed over."""
    paths: list[Path] = []
    passed_over = 0
    for name in inputs:
        path = Path(name)
        if path.is_file():
            paths.append(path)
            continue
        holds_out = path.resolve() in out.resolve().parents
        for found in filter(_begins_like_dicom, sorted(path.rglob("*"))):
            if holds_out and out.resolve() in found.resolve().parents:
                passed_over += 1
            else:
                paths.append(found)
    return paths, passed_over


def _begins_like_dicom(path: Path) -> bool:
    """Whether a file in a folder is to be read: hidden files and directories of media are not."""
    if not path.is_file() or path.name == "DICOMDIR" or path.name.startswith("."):
        return False
    head = read_head(path, str(path)) if path.stat().st_size else b""
    return bool(head) and file_kind(head) is FileKind.DICOM


def _table(results: Sequence[Result]) -> str:
    """One row for each attribute and action, with the number of files; values are never written."""
    counts = Counter(
        (tag, keyword, action.value) for result in results for (tag, keyword), action in result.record.items()
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("tag", "attribute", "action", "files"))
    for (tag, keyword, action), files in sorted(counts.items()):
        writer.writerow((tag, keyword, action, files))
    return text.getvalue()


def read_secret(path: Path | None) -> str | None:
    """The secret in a file, without the line's end.

    Raises:
        InputError: the file cannot be read.
    """
    if path is None:
        return None
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the secret cannot be read ({error}); check the file.") from error
