"""Defects of a server that remembers what it should not, or forgets what it should not: each server gets one of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .twins_kit import Passing


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
