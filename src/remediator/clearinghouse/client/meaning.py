"""What a clearinghouse's answer means: a record, a proof, or one of our errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from remediator.clearinghouse.wire.answers import LedgerEntry
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem
from remediator.errors import AuthError, ConfigError, ConflictError, RemediatorError, SinkError
from remediator.records.record import Record

R = TypeVar("R", bound=Record)
_MOST_NEW = 20


class Refusal(NamedTuple):
    """What an error answer says; `code` is None where no clearinghouse wrote it."""

    code: Problem | None
    text: str
    hint: str


MENDED_BY_TIME = (Problem.unavailable, Problem.too_many, Problem.timed_out, Problem.internal)
"""Codes that the same request may not meet again later."""
_AUTH = frozenset((Problem.unauthorised, Problem.forbidden, Problem.unknown_key, Problem.key_revoked, Problem.key_expired))
_CONFLICT = frozenset((Problem.lease_held, Problem.lease_stale, Problem.opted_out, Problem.state_conflict, Problem.key_reused))


def refusal(status: int, body: bytes) -> Refusal:
    """Read the body of an error answer."""
    try:
        told = json.loads(body[: 64 * 1024])
        code = Problem(told["code"])
        return Refusal(code, str(told.get("detail") or code)[:1000], str(told.get("hint") or "")[:1000])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Refusal(None, f"status {status}", "")


def error_of(url: str, name: str, status: int, refused: Refusal) -> RemediatorError:
    """Return what a refusal means for whoever asked."""
    told = f"{url}: {refused.text}" + (f" ({refused.code})" if refused.code else "")
    if refused.code in _AUTH or (refused.code is None and status in (401, 403)):
        # What the server says there is for whoever writes a client.
        hint = f"check the token of {name!r}: whole, and neither expired nor revoked? Its operator makes new ones"
        if refused.code is not Problem.unauthorised:
            hint = (
                refused.hint or f"check the token of {name!r}, and that your signing key is registered there: remediator submit --show-key"
            )
        return AuthError(told, hint=hint)
    if refused.code in _CONFLICT:
        return ConflictError(told, hint=refused.hint or "look at its state first")
    if refused.code is not None:
        elsewhere = "check the id, and that it is of this clearinghouse" if refused.code is Problem.not_found else ""
        return RefusedError(refused.code, told, hint=refused.hint or elsewhere)
    if 300 <= status < 400:
        return ConfigError(f"{url} sends us elsewhere; a token is not sent after it", hint="name its real address")
    return ConfigError(told, hint="check the address: no clearinghouse answers like that")


def read(kind: type[R], value: object) -> R:
    """Return the record in an answer. Raises SinkError where it is not as the protocol has it.

    Fields that we do not know are let pass, as a later server may have more; but not in what is signed or hashed, where they count.
    """
    try:
        for _ in range(_MOST_NEW):
            try:
                return kind.model_validate(value)
            except ValidationError as error:
                value = _without_more(value, error)
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:100]
        raise SinkError(f"the clearinghouse's {kind.__name__} is not as the protocol has it: {place}: {first['msg'][:200]}") from None


def _without_more(value: object, found: ValidationError) -> Any:
    """Return the answer without the fields that nobody here knows. Raises the error where those are not all that is wrong."""
    wrong = found.errors(include_url=False, include_input=False, include_context=False)
    if any(each["type"] != "extra_forbidden" or "head" in each["loc"] for each in wrong) or found.title == LedgerEntry.__name__:
        raise found
    copy = json.loads(json.dumps(value))
    for each in wrong:
        *way, last = each["loc"]
        _forget(copy, way, last)
    return copy


def _forget(value: Any, way: Sequence[int | str], name: int | str) -> None:
    """Remove a field of that name on the way, in each entry of a list: reading ends at the first entry that is wrong."""
    for number, step in enumerate(way):
        if isinstance(step, int):
            for each in value if isinstance(value, list) else ():
                _forget(each, way[number + 1 :], name)
            return
        if not isinstance(value, dict) or step not in value:
            return
        value = value[step]
    if isinstance(value, dict):
        value.pop(name, None)


def proof_of(told: Mapping[str, Any]) -> list[bytes]:
    """Return the hashes of a proof. Raises SinkError."""
    try:
        return [bytes.fromhex(each) for each in told["path"]]
    except (KeyError, TypeError, ValueError) as error:
        raise SinkError("the clearinghouse's proof is not as the protocol has it") from error
