"""The OpenAPI 3.1 document, made from the table of routes and the records' own schemas."""

from __future__ import annotations

import re
from typing import Any

from pydantic.json_schema import models_json_schema

from remediator.clearinghouse.server.routes import ROUTES, Route
from remediator.clearinghouse.server.schemas import ANSWERS, SCHEMAS, opened
from remediator.clearinghouse.wire.answers import ProblemDetail
from remediator.clearinghouse.wire.terms import MOST_ENVELOPE_BYTES, MOST_PAGE, PAYLOAD_TYPE, PROTOCOL, FixState, Problem
from remediator.records.record import Record

_REF = "#/components/schemas/{model}"
_TEXT = {"type": "string", "minLength": 1, "maxLength": 500}
_WHOLE = {"type": "integer", "minimum": 0}
_QUERY: dict[str, tuple[dict[str, Any], str]] = {
    "cursor": ({"type": "string", "maxLength": 500}, "What `next` said on the page before."),
    "limit": ({"type": "integer", "minimum": 1, "maximum": MOST_PAGE}, "How many at most."),
    "project": (_TEXT, "A purl without version, or the URL of a repository."),
    "alias": (_TEXT, "A CVE, GHSA or other id."),
    "order": ({"type": "string", "enum": ["time", "priority"]}, "By time of change, or the most urgent first."),
    "state": ({"type": "string", "enum": list(FixState)}, "Only fixes of this state."),
    "flaw": (_TEXT, "Only fixes of this flaw."),
    "start": (_WHOLE, "The first index."),
    "index": (_WHOLE, "The entry's index."),
    "size": (_WHOLE, "The tree's size; left out: the present one."),
    "first": (_WHOLE, "The smaller tree's size."),
    "second": (_WHOLE, "The larger tree's size; left out: the present one."),
}
_PATH = {
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"},
    "digest": {"type": "string", "pattern": r"^sha256:[0-9a-f]{64}$"},
    "name": {"type": "string", "enum": sorted(SCHEMAS)},
}


def document() -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Clearinghouse of remediator",
            "version": PROTOCOL.rpartition("/")[2],
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": paths,
        "components": {
            "schemas": {**_schemas(), "Envelope": _envelope()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {"Problem": {"description": _problems(), "content": {"application/problem+json": _schema(ProblemDetail)}}},
        },
    }


def _schemas() -> dict[str, Any]:
    # What is sent may leave out what has a default, what is answered is whole and may have more.
    modes = [(model, "serialization" if model in ANSWERS else "validation") for model in SCHEMAS.values()]
    _, found = models_json_schema(modes, ref_template=_REF)  # type: ignore[arg-type]
    answered = {model.__name__ for model in ANSWERS}
    return {name: opened(each) if name in answered else each for name, each in found["$defs"].items()}


def _operation(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": _operation_id(route), "summary": route.summary, "responses": _responses(route)}
    if route.scopes is not None:
        made["security"] = [{"token": []}]
        made["description"] = f"Scope: {' or '.join(sorted(route.scopes))}."
    parameters = [*_path_parameters(route), *_query_parameters(route)]
    if route.path == "/v1/feed/stream":
        parameters.append({"name": "Last-Event-ID", "in": "header", "schema": _WHOLE})
    if parameters:
        made["parameters"] = parameters
    if isinstance(route.body, str):
        made["requestBody"] = {"required": True, "content": {route.body: {}}}
    elif route.body is not None:
        envelope = {"schema": {"$ref": _REF.format(model="Envelope")}}
        body = _REF.format(model=route.body.__name__)
        made["requestBody"] = {"required": True, "content": {"application/json": envelope}, "x-body": {"$ref": body}}
    return made


def _operation_id(route: Route) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{route.method} {route.path.removeprefix('/v1')}".lower()).strip("-")


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": _PATH[name]} for name in re.findall(r"\{(\w+)\}", route.path)]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    numeric = route.path.startswith("/v1/feed")
    made = []
    for name in route.query:
        found, description = _QUERY[name]
        shown = _WHOLE if numeric and name == "cursor" else found
        made.append({"name": name, "in": "query", "schema": shown, "description": description})
    return made


def _responses(route: Route) -> dict[str, Any]:
    good = {"description": "Done." if route.method != "GET" else "Found.", "content": _content(route)}
    made: dict[str, Any] = {"200": good, "default": {"$ref": "#/components/responses/Problem"}}
    if route.makes:
        made["201"] = {**good, "description": "Made."}
        good["description"] = "It was there already."
    if route.method == "GET" and not route.lasting:
        made["304"] = {"description": "As you know it (If-None-Match)."}
    return made


def _content(route: Route) -> dict[str, Any]:
    if isinstance(route.answer, str):
        return {route.answer: {}}
    if route.listed:
        item = _schema(route.answer)["schema"] if route.answer else {"type": "object"}
        properties = {"items": {"type": "array", "items": item}, "next": {"type": "string"}}
        return {"application/json": {"schema": {"type": "object", "required": ["items", "next"], "properties": properties}}}
    return {"application/json": _schema(route.answer) if route.answer else {"schema": {"type": "object"}}}


def _schema(model: type[Record]) -> dict[str, Any]:
    return {"schema": {"$ref": _REF.format(model=model.__name__)}}


def _envelope() -> dict[str, Any]:
    text = {"type": "string"}
    signature = {"type": "object", "required": ["keyid", "sig"], "properties": {"keyid": text, "sig": text}}
    return {
        "type": "object",
        "description": f"A DSSE envelope; `payload` is base64 of a Request's canonical JSON. At most {MOST_ENVELOPE_BYTES} bytes.",
        "required": ["payload", "payloadType", "signatures"],
        "properties": {
            "payload": {"type": "string", "contentEncoding": "base64", "contentMediaType": PAYLOAD_TYPE},
            "payloadType": {"const": PAYLOAD_TYPE},
            "signatures": {"type": "array", "minItems": 1, "maxItems": 1, "items": signature},
        },
    }


def _problems() -> str:
    return "Refused; `code` is one of " + ", ".join(Problem) + "."
