"""Files that are either whole or not there: written under a temporary name, flushed, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from suite.errors import StorageError


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a crash leaves the old file or the new one, never a part.

    Raises:
        StorageError: the disk is full, the folder is missing or may not be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(
            f"{path}: could not be written ({error.strerror}); free space or choose another folder."
        ) from error


def write_text(path: Path, content: str) -> None:
    """``write_bytes`` for UTF-8 text."""
    write_bytes(path, content.encode())


def make_folder(folder: Path) -> Path:
    """``folder``, made with its parents if it was not there.

    Raises:
        StorageError: a file is in the way, or the parent may not be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder}: could not be made ({error.strerror}); choose another folder."
        ) from error
    return folder


def check_writable(folder: Path) -> None:
    """Fail early where :func:`make_folder` or a file in it would fail later; nothing is made.

    Raises:
        StorageError: ``folder``, or the nearest of its parents that is there, may not be written to.
    """
    # os.path.exists, because Path.exists raises where it may not look
    there = next((place for place in (folder, *folder.absolute().parents) if os.path.exists(place)), folder)
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise StorageError(f"{folder}: {there} may not be written to; choose another folder.")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of ``folder`` if the block succeeds, and vanishes if it fails.

    Raises:
        StorageError: the parent cannot be written to, or the disk is full.
    """
    make_folder(folder.parent)
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    except OSError as error:
        raise StorageError(
            f"{folder}: could not be made ({error.strerror}); choose another folder."
        ) from error
    try:
        yield temporary
        _swap(temporary, folder)
    except OSError as error:
        raise StorageError(
            f"{folder}: could not be written ({error.strerror}); free space and try again."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(temporary: Path, folder: Path) -> None:
    temporary.chmod(0o755)
    if not folder.exists():
        temporary.rename(folder)
        return
    retired = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
    try:
        folder.rename(retired / "old")
        try:
            temporary.rename(folder)
        except OSError:
            (retired / "old").rename(folder)
            raise
    finally:
        shutil.rmtree(retired, ignore_errors=True)
