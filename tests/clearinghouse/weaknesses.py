"""Defects that a server could have, as changes to what it answers. Those that remember something are classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from .twins_kit import Passing, takes

EMPTY = {"items": [], "next": ""}


def not_found_is(value: Any, path: str, when: Callable[[Passing], object] = lambda passing: True) -> Callable[[Passing], Passing]:
    return lambda p: p.telling(value, 200) if p.code == "not-found" and p.path.startswith(path) and when(p) else p


def no_not_modified(passing: Passing) -> Passing:
    return passing._replace(status=200, body=b"{}") if passing.status == 304 else passing


def no_etag(passing: Passing) -> Passing:
    kept = {name: value for name, value in passing.answer_headers.items() if name.lower() != "etag"}
    return passing._replace(answer_headers=kept) if passing.path == "/v1/leases" else passing


def repeats(passing: Passing) -> Passing:
    again = passing.path == "/v1/flaws" and passing.status == 200 and "cursor=" in passing.query
    return passing.telling({**passing.json, "next": ""}) if again else passing


def always_201(passing: Passing) -> Passing:
    return passing._replace(status=201) if passing.method == "POST" and passing.status == 200 else passing


def plain_errors(passing: Passing) -> Passing:
    return passing._replace(answer_headers={"Content-Type": "application/json"}) if passing.code == "method-not-allowed" else passing


def another_flaw(told: Any, _passing: Passing) -> Any:
    return {**told, "detail": {**told["detail"], "flaw": "flaw-" + "2" * 24}}


def all_match(told: Any, _passing: Passing) -> Any:
    return {**told, "detail": {"matches": dict.fromkeys(told["detail"]["matches"], True)}}


def none_matches(told: Any, _passing: Passing) -> Any:
    return {**told, "detail": {"matches": dict.fromkeys(told["detail"]["matches"], False)}}


def tests_failed(told: Any, _passing: Passing) -> Any:
    return {**told, "assessments": [{**each, "tests_passed": False} for each in told.get("assessments", [])]}


def event(passing: Passing) -> Passing:
    return passing._replace(body=b"data: {}\n") if passing.path.endswith("/stream") and passing.body.startswith(b"data:") else passing


def no_retry(passing: Passing) -> Passing:
    return passing._replace(body=b"") if passing.path.endswith("/stream") and passing.body.startswith(b"retry:") else passing


def path(told: Any, _passing: Passing) -> Any:
    return {**told, "path": ["00" * 32, *told["path"][1:]]}


def longer_path(told: Any, _passing: Passing) -> Any:
    return {**told, "path": [*told["path"], "00" * 32]}


def rewritten(told: Any, _passing: Passing) -> Any:
    return {**told, "items": [{**each, "kind": "x"} if each["index"] == 4 else each for each in told["items"]]}


def nonces(told: Any, _passing: Passing) -> Any:
    return {**told, "items": [{**each, "nonce": "00" * 32} for each in told["items"]]}


def always_first(told: Any, _passing: Passing) -> Any:
    """Go on with the same number for ever."""
    return {**told, "next": "0"} if told["next"] else told


def with_a_body(passing: Passing) -> Passing:
    # A HEAD has no body on any wire: what is left to do wrong is to refuse it.
    return passing._replace(status=405) if passing.method == "HEAD" and passing.path == "/v1/flaws" else passing


def head_of_a_bundle(passing: Passing) -> Passing:
    return passing._replace(status=200) if passing.method == "HEAD" and passing.path.endswith("/bundle") else passing


def overlaps(passing: Passing) -> Passing:
    """All scopes overlap."""
    if passing.verb == "lease" and passing.done and "CWE-79" in passing.asked.get("scope", ()):
        return passing.telling({"code": "lease-held", "status": 409, "title": "", "retry_after_seconds": 9}, 409)
    return passing


def stale(word: str) -> Callable[[Passing], Passing]:
    return takes("lease-stale", "/v1/renew", lambda p: word in p.json["detail"])


class SharedKeys:
    """One idempotency key for all organisations."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[str, bytes]] = {}

    def __call__(self, passing: Passing) -> Passing:
        if passing.verb != "lease" or not passing.done:
            return passing
        who, body = self.seen.setdefault(passing.request["key"], (passing.request["submitter"], passing.body))
        return passing if who == passing.request["submitter"] else passing.telling({**json.loads(body), "duplicate": True}, 200)


class ForgedLeases:
    """A lease that was refused for its signature is there nevertheless."""

    def __init__(self) -> None:
        self.projects: set[str] = set()

    def __call__(self, passing: Passing) -> Passing:
        if passing.code == "unknown-key" and passing.verb == "lease":
            self.projects.add(passing.asked["project"])
        if passing.path == "/v1/leases" and passing.query.removeprefix("project=") in self.projects:
            return passing.telling({"items": [{"id": "lease-1"}], "next": ""})
        return passing


class SpentKeys:
    """A request that was refused uses up its idempotency key."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def __call__(self, passing: Passing) -> Passing:
        if passing.code == "unknown-key" and passing.verb == "lease":
            self.keys.add(passing.request["key"])
        if passing.verb == "lease" and passing.done and passing.request["key"] in self.keys:
            return passing.telling({**passing.json, "duplicate": True})
        return passing


class FilesAreFlaws:
    """What is in one file is one flaw."""

    def __init__(self) -> None:
        self.flaws: dict[str, str] = {}

    def __call__(self, passing: Passing) -> Passing:
        if passing.verb != "submit-finding" or not passing.done or not passing.flaw.get("snippet", "").startswith("conform-code"):
            if passing.verb == "submit-finding" and passing.done:
                self.flaws.setdefault(passing.flaw.get("path", ""), passing.json["detail"]["flaw"])
            return passing
        return passing.telling({**passing.json, "detail": {"flaw": self.flaws[passing.flaw["path"]]}})


class Talkative:
    """Whoever reported a flaw under embargo reads what others wrote about it."""

    def __init__(self) -> None:
        self.details: dict[str, str] = {}

    def __call__(self, passing: Passing) -> Passing:
        if passing.verb == "submit-finding" and passing.done and passing.flaw.get("details"):
            self.details[passing.json["detail"]["flaw"]] = passing.flaw["details"]
        if passing.path.startswith("/v1/flaws/flaw-") and passing.status == 200 and "details" in passing.json:
            return passing.telling({**passing.json, "details": self.details.get(passing.json["id"], "")})
        return passing


class RedForAll:
    """A flaw that is marked red is told to everybody, once no embargo holds."""

    def __init__(self) -> None:
        self.red: set[str] = set()

    def __call__(self, passing: Passing) -> Passing:
        if passing.verb == "submit-finding" and passing.done and passing.request["tlp"] == "red" and not passing.request["embargo_until"]:
            self.red.add(passing.json["detail"]["flaw"])
        seen = passing.code == "not-found" and passing.path.removeprefix("/v1/flaws/") in self.red
        return passing.telling({"id": "flaw-1"}, 200) if seen else passing


class OldHead:
    """The head is written once a day."""

    def __init__(self) -> None:
        self.head: bytes = b""

    def __call__(self, passing: Passing) -> Passing:
        if passing.path != "/v1/ledger/head" or passing.status != 200:
            return passing
        self.head = self.head or passing.body
        return passing._replace(body=self.head)


def lost_merge(passing: Passing) -> Passing:
    """The id of a flaw that was joined to another is forgotten."""
    merged = passing.path.startswith("/v1/flaws/flaw-") and passing.status == 200 and "id" in passing.json
    if merged and passing.json["id"] != passing.path.removeprefix("/v1/flaws/"):
        return passing.telling({"code": "not-found"}, 404)
    return passing


def every_opinion(passing: Passing) -> Passing:
    """All opinions of an organisation are kept."""
    if not passing.path.startswith("/v1/flaws/flaw-") or passing.status != 200 or not passing.json.get("assessments"):
        return passing
    (only,) = passing.json["assessments"]
    if only["opinion"] != "correct":
        return passing
    return passing.telling({**passing.json, "assessments": [{**only, "opinion": "incorrect"}, only]})


class KnownBlobs:
    """A blob that anybody put is there for everybody."""

    def __init__(self) -> None:
        self.put: set[str] = set()

    def __call__(self, passing: Passing) -> Passing:
        if passing.method != "PUT" or not passing.done:
            return passing
        known = passing.path in self.put
        self.put.add(passing.path)
        return passing._replace(status=200) if known else passing


def marked(told: Any, _passing: Passing) -> Any:
    """Only the first report's mark counts."""
    return {**told, "tlp": "clear"} if told.get("tlp") == "green" and not told["embargoed"] and told["lifted_at"] else told


def ended(told: Any, _passing: Passing) -> Any:
    return {**told, "embargoed": False} if "embargoed" in told else told


def embargoed_again(told: Any, _passing: Passing) -> Any:
    return {**told, "embargoed": True, "tlp": "red"} if told.get("tlp") == "green" and not told["lifted_at"] else told


def worst(told: Any, passing: Passing) -> Any:
    return {**told, "severity": "critical"} if told.get("severity") == "low" else told


def in_lower_case(told: Any, _passing: Passing) -> Any:
    lease = told["detail"]["lease"]
    return {**told, "detail": {"lease": {**lease, "project": lease["project"].lower()}}}


def one_fence(told: Any, _passing: Passing) -> Any:
    told["detail"]["lease"]["fencing"] = 1
    return told


def shorter(told: Any, _passing: Passing) -> Any:
    told["detail"]["lease"]["expires_at"] = datetime.now(UTC).isoformat()
    return told


def one(passing: Passing) -> bool:
    """Return whether it is a record itself, and nothing below it."""
    return passing.path.count("/") == 3


class OneLease:
    """A lease excludes everybody, also who holds it."""

    def __init__(self) -> None:
        self.held: set[str] = set()

    def __call__(self, passing: Passing) -> Passing:
        if passing.verb != "lease" or passing.status != 201 or passing.asked.get("scope"):
            return passing
        again = f"{passing.request['submitter']} {passing.asked['project']}"
        if again in self.held:
            return passing.telling({"code": "lease-held", "status": 409}, 409)
        self.held.add(again)
        return passing


def spaces(character: str) -> Callable[[Passing], bool]:
    return lambda passing: character in passing.flaw.get("snippet", "")


def one_flaw_for(character: str) -> type[Any]:
    class Joined:
        """Takes one more character for white space."""

        def __init__(self) -> None:
            self.flaws: dict[str, str] = {}

        def __call__(self, passing: Passing) -> Passing:
            if passing.verb != "submit-finding" or not passing.done:
                return passing
            first = self.flaws.setdefault(passing.flaw["path"], passing.json["detail"]["flaw"])
            return passing.telling({**passing.json, "detail": {"flaw": first}}) if spaces(character)(passing) else passing

    return Joined


def first_wrong_is(code: str, other: str) -> Callable[[Passing], Passing]:
    """Tell another of the things that are wrong."""

    def weak(passing: Passing) -> Passing:
        if passing.code != code or passing.verb != "lease":
            return passing
        old = passing.request["at"] < datetime.now(UTC).isoformat()[:16]
        two = old if code == "unknown-key" else passing.keyid not in passing.registered
        return passing.telling({**passing.json, "code": other}, 403) if two else passing

    return weak
