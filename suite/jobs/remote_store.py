"""The artifact store in an object store (S3 and whatever else fsspec reaches), with local copies.

The local folder works as without it, and every file that rows may name is also put there before its row is
written: an object appears whole or not at all. A machine that lacks a file fetches it. Local copies may be
removed at any time.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from suite.errors import StorageError, UnreadableFileError
from suite.jobs.contracts import Reading
from suite.jobs.store import REPORT, Store


class RemoteStore(Store):
    """A store whose truth is elsewhere.

    Args:
        data: folder of the local copies.
        url: fsspec URL, such as ``s3://bucket/radsuite``.

    Raises:
        StorageError: the URL's protocol is not known or its package is not installed.
    """

    def __init__(self, data: Path, url: str) -> None:
        super().__init__(data)
        self._url = url
        self._files, self._root = _open(url)

    def adopt(self, staged: Path, study_id: str) -> None:
        for path in sorted((staged / "source").iterdir()):
            self._put(path, f"{study_id}/source/{path.name}")
        super().adopt(staged, study_id)

    def set_aside(self, study_id: str) -> Path | None:
        with self._errors(study_id):
            if self._files.exists(f"{self._root}/{study_id}"):
                self._files.rm(f"{self._root}/{study_id}", recursive=True)
        return super().set_aside(study_id)

    def source(self, study_id: str, name: str | None) -> Path | None:
        path = super().source(study_id, name)
        return path and self._here(path)

    def write_reading(self, study_id: str, name: str, reading: Reading) -> str:
        written = super().write_reading(study_id, name, reading)
        folder = self._studies / study_id / "readings" / written
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != REPORT]
        for path in [*files, folder / REPORT]:  # the report last: it names the others
            self._put(path, self._key(path))
        return written

    def file(self, study_id: str, reading: str, relative: str) -> Path:
        path = super().file(study_id, reading, relative)
        try:
            return self._here(path)
        except UnreadableFileError:
            return path  # whoever opens it says that it is not there

    def discard_readings(self, study_id: str, prefix: str, keep: str | None = None) -> None:
        super().discard_readings(study_id, prefix, keep)
        kept = (keep or "").split("/")[0]
        with self._errors(study_id):
            for found in self._files.glob(f"{self._root}/{study_id}/readings/{prefix}*"):
                if str(found).rstrip("/").rpartition("/")[2] != kept:
                    self._files.rm(found, recursive=True)

    def write_stage(self, study_id: str, name: str, content: bytes) -> str:
        path = super().write_stage(study_id, name, content)
        self._put(self._studies / study_id / path, f"{study_id}/{path}")
        return path

    def read_stage(self, study_id: str, path: str) -> bytes:
        self._here(self._studies / study_id / path)
        return super().read_stage(study_id, path)

    def discard_stages(self, study_id: str) -> None:
        super().discard_stages(study_id)
        with self._errors(study_id):
            if self._files.exists(f"{self._root}/{study_id}/stages"):
                self._files.rm(f"{self._root}/{study_id}/stages", recursive=True)

    def _key(self, path: Path) -> str:
        return path.resolve().relative_to(self._studies.resolve()).as_posix()

    def _put(self, path: Path, key: str) -> None:
        target = f"{self._root}/{key}"
        with self._errors(key):
            self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
            if "file" in _protocols(self._files):  # a mounted folder has names that can be seen half-written
                temporary = f"{target}.{secrets.token_hex(4)}.tmp"
                self._files.put_file(str(path), temporary)
                self._files.mv(temporary, target)
            else:
                self._files.put_file(str(path), target)

    def _here(self, path: Path) -> Path:
        """``path``, fetched if this machine does not have it."""
        if path.exists():
            return path
        key = self._key(path)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        with self._errors(key):
            if not self._files.exists(f"{self._root}/{key}"):
                raise UnreadableFileError(
                    f"{key}: is not in {self._url}; look whether it was removed, or hand the study in again."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._files.get_file(f"{self._root}/{key}", str(temporary))
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        return path

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except (StorageError, UnreadableFileError):
            raise
        except Exception as error:  # each protocol has exceptions of its own
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise StorageError(f"{key}: {self._url} refused ({reason}); check RADSUITE_STORE_URL.") from error


def _open(url: str) -> tuple[Any, str]:
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise StorageError(
            f"{url}: the store cannot be opened ({error}); for S3 install radsuite[s3], or leave "
            "RADSUITE_STORE_URL unset to keep films in the data folder."
        ) from error
    return files, f"{path.rstrip('/')}/studies"


def _protocols(files: Any) -> tuple[str, ...]:
    named = files.protocol
    return (named,) if isinstance(named, str) else tuple(named)
