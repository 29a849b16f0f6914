"""What an operator pulled: on this machine, checked once when it came, matched here as often as wanted."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from pydantic import AwareDatetime, Field

from remediator.artefacts import private_folder, read_regular, write_atomically
from remediator.clearinghouse.client.http import Clearinghouse
from remediator.clearinghouse.client.witness import KNOWN, advanced, check_entry, check_line, proven
from remediator.clearinghouse.wire.answers import FeedEntry, Published, SignedHead
from remediator.errors import EvidenceError, StateError, UsageError
from remediator.records.record import Record

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}\Z")
_FIX = re.compile(r"fix-[0-9a-f]{24}\Z")
_MOST_BYTES = 64 * 1024 * 1024
STORED = "stored"
DEFAULT_TOKEN = "env:REMEDIATOR_CLEARINGHOUSE_TOKEN"  # noqa: S105 - where one is kept
NO_TRUST = "--trust needs the id of the ledger key: SHA256: and 43 characters"
_TOKEN = re.compile(r"[\x21-\x7e]{8,4096}\Z")


class Subscription(Record):
    """Where is pulled from, and how far that came."""

    name: str
    url: str
    token: str
    """Where the token is kept: `env:NAME`, `keyring:SERVICE/USER`, `cmd:PROGRAM`, or `stored`: in a private file beside this one."""
    trust: str
    cursor: int = 0
    head: SignedHead | None = None
    pulled_at: AwareDatetime | None = None
    sequence: int = 0
    """Of the last air-gap bundle that was imported."""
    carrier: str = ""
    """The id of the key that signed it."""


class Carried(Record):
    """How far the last air-gap bundle came that was made here."""

    sequence: int
    cursor: int
    head: SignedHead


class Pulled(Record):
    """What one pull brought."""

    name: str
    new: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    fixes: int = 0
    ledger_size: int = 0
    cursor: int = 0


class Kept(Record):
    """One fix on this machine. A withdrawn one stays, so that whoever applied it is told."""

    published: Published
    kind: str
    """published, superseded or revoked."""
    at: AwareDatetime
    history: tuple[FeedEntry, ...] = Field(default=())


class Subscriber:
    """The folder of one subscription."""

    def __init__(self, state: Path, name: str) -> None:
        if not _NAME.match(name):
            raise UsageError(f"{name[:80]!r} is no name for a subscription", hint="letters, digits, dot, dash and underscore")
        self.folder = state / "subscriptions" / name
        self._file = self.folder / "subscription.json"
        self._name = name

    @staticmethod
    def names(state: Path) -> list[str]:
        """Return the names of all subscriptions."""
        return sorted(path.parent.name for path in (state / "subscriptions").glob("*/subscription.json"))

    def begin(self, url: str, token: str = "", trust: str = "", *, secret: str = "") -> Subscription:
        """Subscribe; one that is there already keeps how far it came, and the token and trusted key that are not named anew.

        `secret` is the token itself, where it is to be `stored`. Raises UsageError where its ledger is another, no key is trusted, or the
        secret is no token; that is not repeated.
        """
        if token == STORED and not _TOKEN.match(secret):
            raise UsageError(
                "what came on standard input is no token: one line without spaces", hint="remediator subscribe URL … --token-stdin < FILE"
            )
        if not trust and not self._file.exists():
            raise UsageError(NO_TRUST, hint="ask the clearinghouse's operator")
        private_folder(self.folder)
        with self.locked():
            if self._file.exists():
                made = self._changed(self.read(), url, token, trust)
            else:
                made = Subscription(name=self._name, url=url, token=token or DEFAULT_TOKEN, trust=trust)
            if token == STORED:
                write_atomically(self.folder / "token", secret.encode("ascii"))
            self.note(made)
            if made.token != STORED:
                (self.folder / "token").unlink(missing_ok=True)
        return made

    def _changed(self, before: Subscription, url: str, token: str, trust: str) -> Subscription:
        other = bool(trust) and before.trust != trust
        # Before the first pull nothing was believed for its sake: a mistyped key may be put right.
        if other and before.head is not None:
            raise UsageError(f"{self._name} trusts {before.trust}", hint="another ledger is another subscription: choose another --name")
        if not token and other and before.url != url and before.token != DEFAULT_TOKEN:
            # That is another clearinghouse altogether, and must not be sent what is for the first.
            raise UsageError(f"the token of {self._name} is for {before.url}", hint="name that for the new one: --token or --token-stdin")
        return before.model_copy(update={"url": url, "token": token or before.token, "trust": trust or before.trust})

    def read(self) -> Subscription:
        """Return the subscription. Raises UsageError where there is none."""
        path = self._file
        if not path.exists():
            raise self._none()
        try:
            return Subscription.from_json(read_regular(path, limit_bytes=_MOST_BYTES))
        except (OSError, ValueError) as error:
            raise StateError(f"{path} is damaged", hint="move its folder away and subscribe anew") from error

    def stored_token(self) -> str:
        """Return the token that `begin` was given. Raises StateError where it is gone, or others could have read it."""
        path = self.folder / "token"
        again = "remediator subscribe URL --trust SHA256:… --token-stdin"
        try:
            secret = read_regular(path, limit_bytes=4096).decode("ascii")
            if path.lstat().st_mode & 0o077:
                raise StateError(f"{path} is open to others", hint=f"have the token revoked, then: {again}")
        except (OSError, UnicodeError) as error:
            raise StateError(f"the stored token {path} cannot be read", hint=again) from error
        return secret

    def has(self, fix_id: str) -> bool:
        """Return whether a fix was pulled."""
        return bool(_FIX.match(fix_id)) and self._path(fix_id).exists()

    def kept(self) -> list[Kept]:
        """Return every fix that was pulled."""
        found = []
        for path in sorted((self.folder / "fixes").glob("fix-*.json")):
            try:
                found.append(Kept.from_json(read_regular(path, limit_bytes=_MOST_BYTES)))
            except (OSError, ValueError) as error:
                raise StateError(f"{path} is damaged", hint="remove it, set `cursor` in subscription.json to 0, and pull again") from error
        return found

    async def pull(self, clearinghouse: Clearinghouse) -> Pulled:
        """Fetch what was let out since the last pull.

        Nothing of a page is written before all of it was checked; killed in the middle, the next pull goes on from the last whole page.
        Raises EvidenceError where the ledger was rewritten or rolled back, or something is not as it recorded it.
        """
        private_folder(self.folder / "fixes")
        new: list[str] = []
        withdrawn: list[str] = []
        with self.locked():
            told = self.read()
            more = True
            while more:
                began = told.cursor
                page = await clearinghouse.feed(began)
                head = await advanced(clearinghouse, told.head, page.head)
                for entry in page.entries:
                    if entry.cursor <= told.cursor:
                        raise EvidenceError("the feed went backwards", hint="tell the operator of the clearinghouse")
                    if entry.kind in KNOWN:
                        kept = await self._checked(clearinghouse, head, entry)
                        self.keep(kept)
                        (withdrawn if kept.kind != "published" else new).append(entry.fix_id)
                    told = told.model_copy(update={"cursor": entry.cursor})
                if page.more and max(told.cursor, page.next) <= began:
                    raise EvidenceError(
                        "the feed says that there is more, and does not go on", hint="tell the operator of the clearinghouse"
                    )
                # Beyond our sight there may be lines for others: the cursor says how far we looked.
                told = told.model_copy(update={"cursor": max(told.cursor, page.next), "head": head, "pulled_at": datetime.now(UTC)})
                self.note(told)
                more = page.more
        size = told.head.head.size if told.head else 0
        fixes = len(list((self.folder / "fixes").glob("fix-*.json")))
        gone = set(withdrawn)
        fresh = tuple(each for each in dict.fromkeys(new) if each not in gone)
        return Pulled(
            name=told.name, new=fresh, withdrawn=tuple(dict.fromkeys(withdrawn)), fixes=fixes, ledger_size=size, cursor=told.cursor
        )

    def keep(self, kept: Kept) -> None:
        """Write a fix down."""
        private_folder(self.folder / "fixes")
        write_atomically(self._path(kept.published.fix.id), kept.model_dump_json().encode())

    def last_carried(self, *, again: int | None = None) -> Carried | None:
        """Return how far the last air-gap bundle came that was made here; with `again`, how far the one before that number came.

        Raises UsageError where no bundle of that number was made here, or it is not known any more how far the one before it came.
        """
        path = self.folder / "carried.json"
        last = Carried.from_json(read_regular(path, limit_bytes=_MOST_BYTES)) if path.exists() else None
        if again is None:
            return last
        made = last.sequence if last is not None else 0
        if not 1 <= again <= made:
            raise UsageError(
                f"no bundle {again} was made here", hint=f"the last one is {made}" if made else "remediator bundle create -o FILE"
            )
        if again == 1:
            return None
        before = self.folder / "carried" / f"{again - 1}.json"
        if not before.exists():
            raise UsageError(
                f"how far bundle {again - 1} came was not noted",
                hint="subscribe under another --name on both sides, and begin with its first bundle",
            )
        return Carried.from_json(read_regular(before, limit_bytes=_MOST_BYTES))

    def carried(self, sequence: int, cursor: int, head: SignedHead) -> None:
        """Note that a bundle was made, once it is on disk."""
        noted = Carried(sequence=sequence, cursor=cursor, head=head).model_dump_json().encode()
        private_folder(self.folder / "carried")
        write_atomically(self.folder / "carried" / f"{sequence}.json", noted)
        write_atomically(self.folder / "carried.json", noted)

    async def _checked(self, clearinghouse: Clearinghouse, head: SignedHead, feed: FeedEntry) -> Kept:
        entry, opening, path = await proven(clearinghouse, head, feed)
        recorded = check_entry(head, entry, opening, path, feed)
        file = self._path(feed.fix_id)
        before = Kept.from_json(read_regular(file, limit_bytes=_MOST_BYTES)) if file.exists() else None
        published = await clearinghouse.published(feed.fix_id)
        # Killed in the middle of a page, a pull sees its lines again.
        earlier = tuple(each for each in (before.history if before else ()) if each.cursor < feed.cursor)
        check_line(feed, published, recorded, earlier, before.published.patch if before else None)
        history = (*earlier, feed)
        return Kept(published=published, kind=feed.kind, at=feed.at, history=history)

    def _path(self, fix_id: str) -> Path:
        if not _FIX.match(fix_id):
            raise EvidenceError(f"{fix_id[:60]!r} is no id of a fix")
        return self.folder / "fixes" / f"{fix_id}.json"

    def _none(self) -> UsageError:
        return UsageError(f"no subscription {self._name!r}", hint="remediator subscribe URL --trust SHA256:… --token env:NAME")

    def note(self, told: Subscription) -> None:
        """Write down how far the subscription came."""
        write_atomically(self._file, json.dumps(told.as_json(), indent=1).encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes away from the subscription. Raises UsageError where there is none, StateError where one is at it."""
        if not self.folder.is_dir():
            raise self._none()
        descriptor = os.open(self.folder / ".lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                flock(descriptor, LOCK_EX | LOCK_NB)
            except BlockingIOError as error:
                raise StateError(f"another process is pulling {self._name}", hint="wait until it is done") from error
            yield
        finally:
            os.close(descriptor)
