"""What every statement stands on: a connection to the server, who asks, and the words for what does not hold."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from yarl import URL

from remediator.clearinghouse.wire.envelope import seal
from remediator.clearinghouse.wire.terms import Problem, Verb
from remediator.clearinghouse.wire.verbs import Request
from remediator.errors import ConfigError
from remediator.evidence.keys import SigningKey
from remediator.records.record import digest_of
from remediator.redact import printable

if TYPE_CHECKING:
    import aiohttp

_MOST_BYTES = 32 * 1024 * 1024
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_BUSY = frozenset((429, 503))


class BrokenError(Exception):
    """The statement does not hold: the server did otherwise."""


class NotRunError(Exception):
    """The statement could not be tried, which says nothing about whether it holds."""


class Member(NamedTuple):
    """An organisation in whose name is asked. Readers need no key and no id."""

    token: str
    key: SigningKey | None = None
    id: str = ""


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object. Raises BrokenError."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise BrokenError(f"{self.told()} is not JSON") from error
        return _an_object(value, self)

    def told(self) -> str:
        """Return it in a few words."""
        return f"status {self.status} {printable(self.body[:200].decode('utf-8', 'replace'))}"


def _an_object(value: object, reply: Reply) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BrokenError(f"{reply.told()} is no JSON object")
    return value


class Ground:
    """The server under test, and two organisations that take part in it; `two` may be missing, and `one` be a reader."""

    def __init__(self, url: str, http: aiohttp.ClientSession, one: Member, two: Member | None, pull: Member | None) -> None:
        self.url = url.rstrip("/")
        self.one = one
        self._http = http
        self._two = two
        self._pull = pull
        self.audience = ""
        self.redirected: list[str] = []

    @property
    def two(self) -> Member:
        """Return the other organisation. Raises NotRunError."""
        if self._two is None or self._two.key is None or self.one.key is None:
            raise NotRunError("needs two organisations that submit")
        return self._two

    def take_two(self, two: Member) -> None:
        """Note who the other organisation is."""
        self._two = two

    @property
    def submitter(self) -> Member:
        """Return the first organisation, where it submits. Raises NotRunError."""
        self.needs_two()
        return self.one

    def needs_two(self) -> None:
        """Raise NotRunError where nobody submits."""
        _ = self.two

    @property
    def pull(self) -> Member:
        """Return whoever has the scope `pull` alone. Raises NotRunError."""
        if self._pull is None:
            raise NotRunError("needs a token with the scope pull alone")
        return self._pull

    # -- asking --------------------------------------------------------------------------------------------------------

    async def get(self, path: str, who: Member | None = None, **headers: str) -> Reply:
        """Read an address. Raises NotRunError where the server cannot answer now."""
        return await self.send("GET", path, who, headers=headers)

    async def told(self, path: str, who: Member | None = None) -> dict[str, Any]:
        """Read an address that is there. Raises BrokenError."""
        reply = await self.get(path, who or self.one)
        expect(reply.status == 200, f"GET {path}: {reply.told()}")
        return reply.json()

    async def send(
        self, method: str, path: str, who: Member | None = None, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send anything. Raises NotRunError where the server cannot be reached or is busy."""
        import asyncio

        for wait in (1.0, 2.0, 4.0, None):
            reply = await self._once(method, path, who, data, headers or {})
            if reply.status not in _BUSY or wait is None:
                break
            await asyncio.sleep(wait)
        if reply.status in _BUSY:
            raise NotRunError(f"{method} {path}: the server is busy: {reply.told()}")
        if 300 <= reply.status < 400 and reply.status != 304:
            self.redirected.append(f"{method} {path}")
        return reply

    async def _once(self, method: str, path: str, who: Member | None, data: bytes | None, headers: Mapping[str, str]) -> Reply:
        import aiohttp

        sent = dict(headers)
        if who is not None:
            sent["Authorization"] = f"Bearer {who.token}"
        try:
            url = URL(self.url + path, encoded=True)
            async with self._http.request(method, url, data=data, headers=sent, allow_redirects=False) as answer:
                body = bytearray()
                async for piece in answer.content.iter_any():
                    body += piece
                    if len(body) > _MOST_BYTES:
                        raise BrokenError(f"{method} {path}: more than {_MOST_BYTES} bytes")
                return Reply(answer.status, answer.headers, bytes(body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotRunError(f"{method} {path}: no answer ({type(error).__name__})") from None

    def request(self, who: Member, verb: Verb, body: Mapping[str, Any], **facts: Any) -> Request:
        """Return what is to be signed."""
        told = {"key": fresh("key"), "audience": self.audience, "submitter": who.id, "at": datetime.now(UTC), **facts}
        return Request.model_validate({"verb": verb, "body": dict(body), **told})

    async def ask(self, who: Member, verb: Verb, body: Mapping[str, Any], **facts: Any) -> Reply:
        """Send a verb, signed by whoever asks."""
        return await self.post(who, verb, sealed(self.request(who, verb, body, **facts), who))

    async def post(self, who: Member, verb: Verb, envelope: bytes) -> Reply:
        """Send an envelope."""
        return await self.send("POST", f"/v1/{verb}", who, envelope, {"Content-Type": "application/json"})

    async def done(self, who: Member, verb: Verb, body: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
        """Send a verb that is to be done; return its answer. Raises BrokenError."""
        return answered(await self.ask(who, verb, body, **facts))

    def lines(self, path: str, who: Member) -> Callable[[float], Awaitable[list[bytes]]]:
        """Return a reader of the first lines of a stream, for so many seconds or until the first event is whole."""

        async def read(seconds: float) -> list[bytes]:
            return await _read_stream(self._http, self.url + path, who, seconds)

        return read


async def _read_stream(http: aiohttp.ClientSession, url: str, who: Member, seconds: float) -> list[bytes]:
    import asyncio

    import aiohttp

    found: list[bytes] = []
    headers = {"Authorization": f"Bearer {who.token}", "Accept": "text/event-stream"}
    try:
        async with asyncio.timeout(seconds), http.get(url, headers=headers, allow_redirects=False) as answer:
            kind = answer.headers.get("Content-Type", "")
            expect(answer.status == 200 and kind.startswith("text/event-stream"), f"the stream answers {answer.status} {kind[:100]}")
            async for line in answer.content:
                found.append(line.rstrip(b"\r\n"))
                if (not found[-1] and any(each.startswith((b"data:", b":")) for each in found)) or len(found) > 1000:
                    break
    except TimeoutError:
        pass
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NotRunError(f"the stream cannot be read ({type(error).__name__})") from None
    return found


def sealed(request: Request, who: Member) -> bytes:
    """Return the envelope."""
    assert who.key is not None
    return seal(request, who.key)


def answered(reply: Reply) -> dict[str, Any]:
    """Return the answer of a verb that was done. Raises BrokenError."""
    expect(reply.status in (200, 201), f"refused: {reply.told()}")
    return reply.json()


def detail(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer's detail. Raises BrokenError."""
    found = answer.get("detail")
    expect(isinstance(found, dict), "the answer has no detail")
    assert isinstance(found, dict)
    return found


def refused(reply: Reply, *codes: Problem) -> dict[str, Any]:
    """Return the problem of a request that was refused with one of these codes. Raises BrokenError."""
    named = " or ".join(codes)
    expect(reply.status >= 400, f"not refused as {named}: {reply.told()}")
    told = reply.json()
    expect(told.get("code") in codes, f"refused otherwise than as {named}: {reply.told()}")
    return told


def expect(holds: bool, otherwise: str) -> None:
    """Raise BrokenError where it does not hold."""
    if not holds:
        raise BrokenError(otherwise)


def fresh(kind: str) -> str:
    """Return a name that nobody used before."""
    return f"conform-{kind}-{secrets.token_hex(12)}"


def project() -> str:
    """Return a project that nobody knows."""
    return f"pkg:pypi/{fresh('project')}"


def flaw(**facts: Any) -> dict[str, Any]:
    """Return a flaw that nobody reported."""
    named = fresh("flaw")
    told = {"project": f"pkg:pypi/{named}", "title": f"title of {named}", "path": f"src/{named}.py", "cwe": [502], "line": 10}
    return {**told, "snippet": f"yaml.load({named!r})", **facts}


def fix_body(data: bytes, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the body of a fix whose bundle is these bytes; without a flaw, for one that nobody reported."""
    named = {"submission_id": fresh("submission"), "patch_id": fresh("patch"), "bundle": digest_of(data), "bundle_bytes": len(data)}
    return {"flaw": dict(told) if told is not None else flaw(), **named, "claimed_level": 5}


def later() -> datetime:
    """Return when an embargo ends that holds for the whole run."""
    return datetime.now(UTC) + timedelta(days=30)


def checked_url(url: str) -> str:
    """Return an address that a token may be sent to. Raises ConfigError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ConfigError(f"{url[:200]!r} is no address of a clearinghouse", hint="https://HOST[:PORT]")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigError("a token is not sent over plain http", hint="use https; http is for this machine only")
    return url.rstrip("/")
