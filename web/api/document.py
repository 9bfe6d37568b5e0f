"""The OpenAPI 3.1 document, written from the declared operations.

pydantic writes the schemas (JSON Schema 2020-12, which OpenAPI 3.1 takes as it is); the report's own schema
is put in beside them. Libraries that do both for Flask hold schemas in classes of OpenAPI 3.0, which drop
what is new in 3.1: types in a list, ``if``, ``contentMediaType``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from inspect import getdoc
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from werkzeug.http import HTTP_STATUS_CODES

from suite.accounts.principal import Scope
from suite.version import __version__
from web.api import repetition
from web.api.names import PATH_PARAMETERS
from web.api.operations import IF_MATCH, ROOT, UNSAFE, Answers, Api, Operation
from web.api.problems import MEDIA_TYPE, Problem

SCHEMAS = "#/components/schemas/"
REPORT = "Report"
"""Component of the report, schema ``radsuite.report/1``."""

_ABOUT = """Studies, readings and reviews of radsuite. Research software, not a medical device.

Credentials: `Authorization: Bearer TOKEN` with a token of a user, or with the service's secret. A signed-in
browser may use its session instead, and sends the session's token as `X-CSRF-Token` with every change. On a
service without a secret, which answers to its own computer only, programs need neither.

Errors are problem details (RFC 9457). Lists come in pages: follow `next`, or the `Link` header. A `POST` with
an `Idempotency-Key` is carried out once, however often it is sent within a day. Times are RFC 3339 in UTC."""

_TAGS = {
    "studies": "Films that were handed in, and where their reading stands",
    "uploads": "Large files in pieces, which go on where they were interrupted",
    "jobs": "Readings that were asked for",
    "results": "Reports and pictures",
    "reviews": "What readers say of a reading",
    "written": "Reports that readers write: drafts, signed reports and their addenda",
    "models": "The networks in use, with their model cards",
    "nodes": "Other systems, and results on their way to them",
    "accounts": "Users, tokens, the audit trail",
}


class _Plain(GenerateJsonSchema):
    """Without the titles that repeat each field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def write_document(api: Api) -> dict[str, Any]:
    """The document of all operations, as JSON-ready values."""
    refs, schemas = _schemas(api.operations)
    schemas |= _report_schemas()
    paths: dict[str, Any] = {}
    for operation in api.operations:
        path = ROOT + re.sub(r"<(\w+)>", r"{\1}", operation.rule)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, refs, schemas)
    queries = {refs[operation.query, "validation"] for operation in api.operations if operation.query}
    for name in queries:
        del schemas[name]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "radsuite",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Scopes: " + ", ".join(scope.value for scope in Scope),
                }
            },
        },
    }


def _schemas(
    operations: Iterable[Operation],
) -> tuple[dict[tuple[Any, JsonSchemaMode], str], dict[str, Any]]:
    """Component names by shape and mode, and the components."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for operation in operations:
        for taken in (operation.query, operation.body):
            if taken is not None:
                wanted[taken, "validation"] = None
        for answers in operation.answers.values():
            if answers.shape is not None:
                wanted[answers.shape, "serialization"] = None
    found, definitions = models_json_schema(
        list(wanted), ref_template=SCHEMAS + "{model}", schema_generator=_Plain
    )
    names = {key: str(value["$ref"]).removeprefix(SCHEMAS) for key, value in found.items()}
    return names, dict(definitions["$defs"])


def _operation(operation: Operation, refs: Any, schemas: Mapping[str, Any]) -> dict[str, Any]:
    summary, _, rest = (getdoc(operation.view) or "").partition("\n")
    written: dict[str, Any] = {
        "operationId": operation.view.__name__,
        "summary": summary.rstrip("."),
        "tags": [operation.tag],
        "parameters": list(_parameters(operation, refs, schemas)),
        "responses": dict(_responses(operation, refs)),
        "security": [{"token": [operation.scope.value]}] if operation.scope is not None else [],
    }
    if rest.strip():
        written["description"] = " ".join(rest.split())
    if operation.body is not None:
        shape = {"$ref": SCHEMAS + refs[operation.body, "validation"]}
        written["requestBody"] = {"required": True, "content": {"application/json": {"schema": shape}}}
    elif operation.media:
        content = {kind: {"schema": dict(schema)} for kind, schema in operation.media.items()}
        written["requestBody"] = {"required": True, "content": content}
    return written


def _parameters(operation: Operation, refs: Any, schemas: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for name in operation.path_names:
        yield {"name": name, "in": "path", "required": True, "schema": PATH_PARAMETERS[name]}
    if operation.query is not None:
        shape = schemas[refs[operation.query, "validation"]]
        for name, schema in shape["properties"].items():
            field = operation.query.model_fields[name]
            yield {"name": name, "in": "query", "required": field.is_required()} | _of_query(schema, field)
    for name, schema in operation.request_headers.items():
        required = bool(schema.get("required"))
        plain = {key: value for key, value in schema.items() if key not in ("required", "description")}
        yield _header(name, str(schema.get("description", "")), plain, required=required)
    if operation.method == "POST" and operation.scope is not None:
        schema = {"type": "string", "pattern": r"^[!-~]{1,255}$"}
        yield _header(repetition.HEADER, "The same key with the same request is carried out once", schema)
    if operation.if_match:
        schema = {"type": "string", "pattern": IF_MATCH}
        yield _header("If-Match", "`ETag` of what the change is based on", schema)


def _header(name: str, text: str, schema: Mapping[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "description": text, "schema": dict(schema)}


def _of_query(schema: Mapping[str, Any], field: FieldInfo) -> dict[str, Any]:
    """A parameter is absent rather than null."""
    plain = {key: value for key, value in schema.items() if key != "description"}
    if "anyOf" in plain:
        kinds = [kind for kind in plain.pop("anyOf") if kind != {"type": "null"}]
        plain |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        if plain.get("default", 0) is None:
            del plain["default"]
    return {"schema": plain} | ({"description": field.description} if field.description else {})


def _responses(operation: Operation, refs: Any) -> Iterable[tuple[str, dict[str, Any]]]:
    for status, answers in sorted(operation.answers.items()):
        yield str(status), _answer(answers, refs)
    for status in sorted(_problems(operation)):
        if status not in operation.answers:
            schema = {"$ref": SCHEMAS + refs[Problem, "serialization"]}
            yield (
                str(status),
                {"description": HTTP_STATUS_CODES[status], "content": {MEDIA_TYPE: {"schema": schema}}},
            )


def _problems(operation: Operation) -> set[int]:
    found = {500, 503, 422, *operation.problems}
    if operation.scope is not None:
        found |= {401, 403, 429}
    if operation.path_names:
        found.add(404)
    if operation.method in UNSAFE:
        found.add(413)
    if operation.body is not None or operation.media:
        found |= {400, 413, 415}
    if operation.method == "POST":
        found |= {400, 409}
    if operation.if_match:
        found |= {400, 412}
    if operation.request_headers:
        found.add(400)
    return found


def _answer(answers: Answers, refs: Any) -> dict[str, Any]:
    content = {kind: {"schema": dict(schema)} for kind, schema in answers.media.items()}
    if answers.shape is not None:
        content["application/json"] = {"schema": {"$ref": SCHEMAS + refs[answers.shape, "serialization"]}}
    written: dict[str, Any] = {"description": answers.description}
    if content:
        written["content"] = content
    if answers.headers:
        written["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in answers.headers.items()
        }
    return written


@lru_cache(maxsize=1)
def _report_schemas() -> dict[str, Any]:
    """The report's schema with its definitions as components of their own."""
    schema = json.loads((files("suite.report") / "schema.json").read_text("utf-8"))
    text = json.dumps(schema.pop("$defs"))
    definitions = json.loads(_named(text))
    main = json.loads(_named(json.dumps({key: value for key, value in schema.items() if key[0] != "$"})))
    return {REPORT: main} | {f"{REPORT}_{name}": value for name, value in definitions.items()}


def _named(text: str) -> str:
    return text.replace('"#/$defs/', f'"{SCHEMAS}{REPORT}_')
