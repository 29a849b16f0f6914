"""Defects that a server could have, as changes to what it answers. Those that remember something are in `forgetful`."""

from __future__ import annotations

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


def marked(told: Any, _passing: Passing) -> Any:
    """The strictest mark holds for everybody."""
    return {**told, "tlp": "red"} if told.get("tlp") == "clear" and not told["embargoed"] and told["lifted_at"] else told


def confided(told: Any, _passing: Passing) -> Any:
    """The first report's mark holds."""
    return {**told, "tlp": "red"} if told.get("tlp") == "clear" and not told["lifted_at"] else told


class Bridged:
    """Whatever was once named together is one flaw."""

    def __init__(self) -> None:
        self.flaws: dict[str, str] = {}

    def __call__(self, passing: Passing) -> Passing:
        if passing.verb != "submit-finding" or not passing.done or not str(passing.flaw.get("aliases", "")).startswith("['CONFORMK"):
            return passing
        first = self.flaws.setdefault(passing.flaw["project"], passing.json["detail"]["flaw"])
        return passing.telling({**passing.json, "detail": {"flaw": first}})


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


def first_wrong_is(code: str, other: str) -> Callable[[Passing], Passing]:
    """Tell another of the things that are wrong."""

    def weak(passing: Passing) -> Passing:
        if passing.code != code or passing.verb != "lease":
            return passing
        old = passing.request["at"] < datetime.now(UTC).isoformat()[:16]
        two = old if code == "unknown-key" else passing.keyid not in passing.registered
        return passing.telling({**passing.json, "code": other}, 403) if two else passing

    return weak
