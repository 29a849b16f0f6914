"""The OpenAPI document is valid, and knows exactly the addresses that the server knows."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from jsonschema import Draft202012Validator

from remediator.clearinghouse.server.app import make_app
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.server.openapi import document
from remediator.clearinghouse.server.routes import ROUTES
from remediator.clearinghouse.server.schemas import SCHEMAS, schema
from remediator.clearinghouse.wire.answers import Answer, ProblemDetail
from remediator.clearinghouse.wire.terms import Verb
from remediator.clearinghouse.wire.verbs import BODIES, LeaseBody, Request
from remediator.evidence.keys import SigningKey

DATA = Path(__file__).parents[1] / "data" / "schemas" / "openapi-3.1" / "schema.json"
META = Draft202012Validator(json.loads(DATA.read_text("utf-8")))


class NoStore:
    """The table of addresses needs no store."""

    ledger_key = SigningKey.generate()


def served() -> set[tuple[str, str]]:
    app: web.Application = make_app(NoStore(), ServerConfig())  # type: ignore[arg-type]
    routes = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    return {each for each in routes if each[0] != "HEAD"}


def described() -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, operations in document()["paths"].items() for method in operations}


def test_it_is_openapi() -> None:
    assert [error.message for error in META.iter_errors(document())] == []


@pytest.mark.parametrize("spoil", ["paths", "operation", "parameter", "version"])
def test_the_check_sees_what_is_wrong(spoil: str) -> None:
    broken = copy.deepcopy(document())
    if spoil == "paths":
        broken["paths"]["v1"] = {}
    elif spoil == "operation":
        broken["paths"]["/v1"]["get"]["responces"] = {}
    elif spoil == "parameter":
        del broken["paths"]["/v1/flaws/{id}"]["get"]["parameters"][0]["required"]
    else:
        broken["openapi"] = "3.0.3"
    assert list(META.iter_errors(broken))


def test_every_address_is_described_and_none_besides() -> None:
    assert served() == described() == {(route.method, route.path) for route in ROUTES}


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    found = document()
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(found)):
        place: Any = found
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    for each in found["components"]["schemas"].values():
        Draft202012Validator.check_schema(each)
    for model in SCHEMAS.values():
        Draft202012Validator.check_schema(schema(model))


def test_every_verb_has_its_body_described() -> None:
    paths = document()["paths"]
    for verb in Verb:
        operation = paths[f"/v1/{verb}"]["post"]
        assert operation["requestBody"]["x-body"]["$ref"].endswith(f"/{BODIES[verb].__name__}")
        assert operation["security"] == [{"token": []}] and operation["description"].startswith("Scope: ")


def test_what_is_open_to_all_is_a_closed_list() -> None:
    open_to_all = {route.path for route in ROUTES if route.scopes is None}
    assert open_to_all == {"/v1", "/v1/openapi.json", "/v1/schemas/{name}.json", "/healthz", "/readyz", "/metrics", "/v1/ledger/head"}


def test_ids_of_operations_are_unique() -> None:
    ids = [operation["operationId"] for operations in document()["paths"].values() for operation in operations.values()]
    assert len(ids) == len(set(ids))


def test_schemas_take_what_the_server_takes_and_refuse_what_it_refuses() -> None:
    body = Draft202012Validator(schema(LeaseBody))
    assert body.is_valid({"project": "pkg:pypi/a"}) and body.is_valid(LeaseBody(project="pkg:pypi/a").as_json())
    assert not body.is_valid({}) and not body.is_valid({"project": "pkg:pypi/a", "ttl_seconds": 0})
    assert not body.is_valid({"project": "pkg:pypi/a", "more": 1})
    request = Request(verb=Verb.lease, key="k" * 16, audience="a", submitter="org", at=datetime(2026, 1, 1, tzinfo=UTC), body={})
    assert Draft202012Validator(schema(Request)).is_valid(request.as_json())
    assert Draft202012Validator(schema(Answer)).is_valid(Answer(verb="lease", id="x", state="granted").as_json())
    assert Draft202012Validator(schema(ProblemDetail)).is_valid(ProblemDetail(title="t", status=404, code="not-found").as_json())
