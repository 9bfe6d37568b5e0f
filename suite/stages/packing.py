"""A stage's result as bytes, and back: numbers and arrays as they are, nothing that could run code.

The file is a NumPy archive without pickles: the arrays, and ``tree``, a JSON text saying where they belong.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np

from suite import grid
from suite.errors import StageError
from suite.stages import artifacts, contract
from suite.stages.memory import Done

_TYPES: Mapping[str, Any] = {
    name: kind
    for module in (contract, artifacts, grid)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and is_dataclass(kind)
}


def pack(done: Done) -> bytes:
    """A stage's result as bytes.

    Raises:
        StageError: it holds something that is not of the suite's own types, numbers, texts or arrays.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    tree = {
        "outputs": {name: _plain(artifact, arrays) for name, artifact in done.outputs.items()},
        "run": _plain(done.run, arrays),
    }
    arrays["tree"] = np.frombuffer(json.dumps(tree).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def unpack(content: bytes) -> Done:
    """The result that :func:`pack` made bytes of.

    Raises:
        StageError: the bytes are damaged, or of another version of the suite.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            tree = json.loads(archive["tree"].tobytes())
            outputs = {name: _rebuilt(value, archive) for name, value in tree["outputs"].items()}
            return Done(outputs, _rebuilt(tree["run"], archive))
    except (BadZipFile, EOFError, KeyError, TypeError, ValueError, OSError) as error:
        raise StageError(f"A kept stage result cannot be read ({error}); read the study again.") from error


def _plain(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    if value is None or (isinstance(value, (bool, int, float, str)) and not isinstance(value, np.generic)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        name = f"array_{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array": name, "scalar": isinstance(value, np.generic)}
    if isinstance(value, (tuple, list)):
        return {type(value).__name__: [_plain(item, arrays) for item in value]}
    if isinstance(value, Mapping):
        return {"mapping": [[_plain(key, arrays), _plain(item, arrays)] for key, item in value.items()]}
    name = type(value).__name__
    if _TYPES.get(name) is type(value):
        content = {field.name: _plain(getattr(value, field.name), arrays) for field in fields(value)}
        return {"type": name, "fields": content}
    raise StageError(f"A result of type {name} is not kept between attempts; the stage is run again instead.")


def _rebuilt(value: Any, archive: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        array = archive[value["array"]]
        return array[()] if value["scalar"] else array
    if "tuple" in value:
        return tuple(_rebuilt(item, archive) for item in value["tuple"])
    if "list" in value:
        return [_rebuilt(item, archive) for item in value["list"]]
    if "mapping" in value:
        return {_rebuilt(key, archive): _rebuilt(item, archive) for key, item in value["mapping"]}
    return _TYPES[value["type"]](**{key: _rebuilt(item, archive) for key, item in value["fields"].items()})
