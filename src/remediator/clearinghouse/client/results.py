"""What became of fixes behind an air gap, on its way back: noted inside, carried out by hand, handed over outside, each once.

A results bundle (`.rmb`) is sealed by the machine inside and numbered; whoever is outside takes the next number of a carrier that it knows,
and no other. Every outcome has the idempotency key that it was noted under, so that one which arrives on two ways is still told once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError

from remediator.artefacts import private_folder, read_regular, write_atomically
from remediator.clearinghouse.client.blanking import blanked, blanked_reason
from remediator.clearinghouse.client.outbox import Item, Outbox
from remediator.clearinghouse.client.sealed import Seal, SealedManifest, opened, sealed
from remediator.clearinghouse.client.subscriber import Subscriber
from remediator.clearinghouse.wire.terms import Verb
from remediator.clearinghouse.wire.verbs import ReceiptBody
from remediator.errors import EvidenceError, StateError, UsageError
from remediator.evidence.keys import PublicKey, SigningKey
from remediator.records.record import Record, canonical_json, digest_of

SCHEMA = "remediator-results/1"
SEAL = Seal(SCHEMA, "application/vnd.remediator.results.v1+json")
REDACTIONS = ("paths", "hosts", "notes")
MOST = 10_000
_RESULTS = "results.json"
_MOST_BYTES = 64 * 1024 * 1024


class Result(Record):
    """One outcome. `note` is for people on both sides of the gap; it never goes to a clearinghouse, which has no room for it."""

    key: Annotated[str, StringConstraints(pattern=r"^c:[0-9a-f]{40}$")]
    body: ReceiptBody
    note: Annotated[str, StringConstraints(max_length=2000)] = ""


class ResultsManifest(SealedManifest):
    """What a results bundle says of itself. `ledger` is the id of the key of the ledger that the fixes are from."""

    sequence: int = Field(ge=1)
    ledger: str
    created_at: AwareDatetime
    redacted: tuple[str, ...]


class ResultsRead(NamedTuple):
    """A results bundle whose signature and digests fit."""

    manifest: ResultsManifest
    results: tuple[Result, ...]
    carrier: PublicKey


class _Sent(Record):
    """How far this machine came: the last number, and which outcomes went out under which."""

    sequence: int = 0
    carried: dict[str, int] = {}


class _Returned(Record):
    """The last number of each carrier that was taken here."""

    carriers: dict[str, int] = {}


def place_of(name: str) -> str:
    """Return what the outbox calls a subscription: no clearinghouse of the settings can be called that."""
    return f"subscription/{name}"


def keep_note(subscriber: Subscriber, key: str, note: str) -> None:
    """Keep a person's note on an outcome, on this machine."""
    write_atomically(private_folder(subscriber.folder / "notes") / f"{key.removeprefix('c:')}.txt", note.encode())


def carried(subscriber: Subscriber) -> dict[str, int]:
    """Return the keys of the outcomes that went out, with the number of their bundle. These go no other way."""
    return _sent(subscriber).carried


def make(subscriber: Subscriber, outbox: Outbox, key: SigningKey, *, redact: Collection[str], own: Sequence[str]) -> bytes:
    """Return what was noted since the last results bundle, as the next one; a copy is kept, see `again`.

    `own` are the names of this machine. Raises UsageError where nothing was noted.
    """
    with subscriber.locked():
        told, sent = subscriber.read(), _sent(subscriber)
        waiting = [item for item in outbox.items(place=place_of(told.name), state="waiting") if item.key not in sent.carried][:MOST]
        if not waiting:
            raise UsageError("nothing new was noted: remediator outcome FIX OUTCOME", hint="an earlier one is written again by --again N")
        results = [_result(subscriber, item, redact, own) for item in waiting]
        files = {_RESULTS: canonical_json([each.as_json() for each in results])}
        manifest = ResultsManifest(
            format=SCHEMA,
            sequence=sent.sequence + 1,
            ledger=told.trust,
            carrier=key.public.line(),
            created_at=datetime.now(UTC),
            redacted=tuple(sorted(redact)),
            files={name: digest_of(data) for name, data in files.items()},
        )
        data = sealed(files, manifest, key, SEAL)
        write_atomically(_copy(subscriber, manifest.sequence), data)
        noted = sent.carried | {each.key: manifest.sequence for each in results}
        write_atomically(
            subscriber.folder / "results" / "sent.json", canonical_json(_Sent(sequence=manifest.sequence, carried=noted).as_json())
        )
    return data


def again(subscriber: Subscriber, sequence: int) -> bytes:
    """Return an earlier results bundle, byte for byte. Raises UsageError where there is none of that number."""
    if not 1 <= sequence <= _sent(subscriber).sequence:
        raise UsageError(f"no results bundle {sequence} was made here", hint=f"the last one is {_sent(subscriber).sequence}")
    try:
        return read_regular(_copy(subscriber, sequence), limit_bytes=_MOST_BYTES)
    except OSError as error:
        raise StateError(f"the copy of results bundle {sequence} cannot be read: {error.strerror}") from error


def read(data: bytes, name: str) -> ResultsRead:
    """Read a results bundle as a stranger's; nothing is taken. Raises EvidenceError."""
    manifest, files, carrier = opened(data, name, ResultsManifest, SEAL)
    try:
        told = json.loads(files[_RESULTS])
        results = tuple(Result.model_validate(each) for each in told)
    except (KeyError, TypeError, ValueError, RecursionError, ValidationError) as error:
        raise EvidenceError(f"{name}: is not as results bundles have it") from error
    if set(files) != {_RESULTS} or not 0 < len(results) <= MOST or len({each.key for each in results}) != len(results):
        raise EvidenceError(f"{name}: is not as results bundles have it")
    return ResultsRead(manifest, results, carrier)


def take(subscriber: Subscriber, outbox: Outbox, found: ResultsRead, *, carrier: str) -> list[Item]:
    """Put what a results bundle tells into the outbox, once; return that. `carrier` is a key id that is trusted from now on.

    Raises EvidenceError, and takes nothing, where it is another's, of another ledger, taken before, or not the next one.
    """
    manifest, by = found.manifest, found.carrier.keyid
    path = subscriber.folder / "returned.json"
    with subscriber.locked():
        told = subscriber.read()
        known = _Returned.from_json(read_regular(path, limit_bytes=_MOST_BYTES)) if path.exists() else _Returned()
        if by not in known.carriers and by != carrier:
            hint = "do not use it" if carrier else f"if that is your machine: --carrier {by}"
            raise EvidenceError(f"the results were noted by {by}" + (f", not by {carrier}" if carrier else ""), hint=hint)
        if manifest.ledger != told.trust:
            raise EvidenceError(f"the results are about the ledger {manifest.ledger[:60]}, not about {told.trust}", hint="choose by --name")
        last = known.carriers.get(by, 0)
        if manifest.sequence <= last:
            raise EvidenceError(f"the results {manifest.sequence} were taken before; {last} is the last", hint="nothing is left to be done")
        if manifest.sequence != last + 1:
            raise EvidenceError(
                f"the results {manifest.sequence} do not follow {last}",
                hint=f"inside: remediator bundle results --again {last + 1} -o FILE",
            )
        items = [put(outbox, told.name, each.key, each.body) for each in found.results]
        write_atomically(path, canonical_json(_Returned(carriers={**known.carriers, by: manifest.sequence}).as_json()))
    return items


def put(outbox: Outbox, name: str, key: str, body: ReceiptBody) -> Item:
    """Put one outcome into the outbox of a subscription."""
    return outbox.put(place_of(name), Verb.receipt, body.as_json(), key=key, subject=f"{body.fix_id} {body.outcome}")


def described(found: ResultsRead) -> dict[str, Any]:
    """Return what a person wants to know of a results bundle: all that it tells."""
    manifest = found.manifest
    return {
        "kind": "results",
        "sequence": manifest.sequence,
        "created_at": manifest.created_at.isoformat(),
        "expires_at": None,
        "carrier": found.carrier.keyid,
        "ledger": manifest.ledger,
        "ledger_size": None,
        "fixes": len({each.body.fix_id for each in found.results}),
        "outcomes": [{**each.body.as_json(), "note": each.note} for each in found.results],
    }


def _result(subscriber: Subscriber, item: Item, redact: Collection[str], own: Sequence[str]) -> Result:
    body = ReceiptBody.model_validate(item.body)
    body = body.model_copy(update={"reason": blanked_reason(body.reason, redact, own)})
    path = subscriber.folder / "notes" / f"{item.key.removeprefix('c:')}.txt"
    note = ""
    if "notes" not in redact and path.exists():
        note = blanked(read_regular(path, limit_bytes=_MOST_BYTES).decode("utf-8", "replace"), redact, own)[:2000]
    return Result(key=item.key, body=body, note=note)


def _sent(subscriber: Subscriber) -> _Sent:
    path = subscriber.folder / "results" / "sent.json"
    return _Sent.from_json(read_regular(path, limit_bytes=_MOST_BYTES)) if path.exists() else _Sent()


def _copy(subscriber: Subscriber, sequence: int) -> Path:
    return private_folder(subscriber.folder / "results") / f"{sequence}.rmb"
