"""What every export says of a published fix, in words that hold: what was shown is told as shown, what a submitter said as said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid5

from remediator.clearinghouse.wire.answers import Flaw, Published
from remediator.clearinghouse.wire.terms import FixState, Tlp
from remediator.records.record import canonical_json, digest_of
from remediator.redact import printable

_NAMESPACE = UUID("0c1c8f0e-3f57-5c8e-9a55-6d8d1b8f7d10")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
# RFC 3986 for the schemes that a reader may follow; anything else, `javascript:` foremost, is not passed on.
_LINK = re.compile(
    r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?"
    r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
    r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
    r"(?:#(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)
_STRICTEST = (Tlp.clear, Tlp.green, Tlp.amber, Tlp.red)

Given = Published | Sequence[Published]


def several(published: Given) -> tuple[Published, ...]:
    """Return what was given as a tuple."""
    return (published,) if isinstance(published, Published) else tuple(published)


def by_flaw(published: Iterable[Published]) -> list[tuple[Flaw, list[Published]]]:
    """Return the fixes of each flaw together, in the order in which the flaws come."""
    found: dict[str, list[Published]] = {}
    for each in published:
        found.setdefault(each.flaw.id, []).append(each)
    return [(joined(fixes), fixes) for fixes in found.values()]


def joined(fixes: Sequence[Published]) -> Flaw:
    """Return the flaw of several fixes under all of their names: each fix has only those that were checked with it."""
    first = fixes[0].flaw
    return first.model_copy(update={"aliases": tuple(dict.fromkeys(alias for each in fixes for alias in each.flaw.aliases))})


def withdrawn(published: Published) -> bool:
    """Return whether the fix was revoked or superseded."""
    return published.fix.state in (FixState.revoked, FixState.superseded)


def withdrawal(published: Published) -> str:
    """Return why a withdrawn fix must not be applied. The flaw is not gone with it."""
    fix = published.fix
    if fix.state is FixState.superseded:
        return f"The fix {fix.id} was superseded{f' by {fix.superseded_by}' if fix.superseded_by else ''} on {stamp(fix.updated_at)}."
    reason = f": {line(fix.revoked_reason)}" if fix.revoked_reason.strip() else ", without a reason"
    return f"The fix {fix.id} was withdrawn on {stamp(fix.updated_at)}{reason}. Do not apply it. The flaw itself may still be there."


def action(published: Published) -> str:
    """Return what to do, for people."""
    if withdrawn(published):
        return withdrawal(published)
    fix = published.fix
    proof = f"proven to evidence level E{fix.level} by the clearinghouse's own replay" if fix.level is not None else "not replayed"
    text = f"Apply the patch of the fix {fix.id} ({patch_digest(published)}), {proof}."
    return " ".join(filter(None, (text, said_names(published), said_release(published) if fix.fixed_version else "")))


def is_named_by_submitter(published: Published) -> bool:
    """Return whether no scanner of the clearinghouse sees the flaw, so that which one it is is its submitter's word."""
    validation = published.fix.validation
    return validation is not None and validation.shown_by == "reproducer"


def said_names(published: Published) -> str:
    """Return what is not vouched for where no scanner sees the flaw: a reproducer shows what it asserts, and not whose flaw that is."""
    if not is_named_by_submitter(published):
        return ""
    return (
        "No scanner of the clearinghouse sees this flaw: what is shown to be gone is what its submitter's reproducer asserts, "
        "under the names that the submitter gave it."
    )


def said_release(published: Published) -> str:
    """Return the release that is said to carry the fix. It was not replayed, so nothing is vouched for."""
    return f"Its submitter names the release {line(published.fix.fixed_version)} as carrying the fix; that was not checked."


def patch_digest(published: Published) -> str:
    """Return the digest of the diff."""
    return digest_of(published.patch.encode("utf-8", "surrogateescape"))


def names(flaw: Flaw) -> tuple[str, ...]:
    """Return the flaw's names, CVE ids first, its own id last."""
    aliases = list(dict.fromkeys(line(alias) for alias in flaw.aliases if line(alias)))
    return (*sorted(aliases, key=lambda alias: not is_cve(alias)), line(flaw.id))


def is_cve(name: str) -> bool:
    """Return whether the name is a CVE id."""
    return _CVE.fullmatch(name) is not None


def links(flaw: Flaw) -> list[str]:
    """Return the references that are sound web addresses."""
    return [url for url in dict.fromkeys(flaw.references) if len(url) <= 1000 and _LINK.fullmatch(url)]


def is_link(text: str) -> bool:
    """Return whether the text is a sound web address."""
    return _LINK.fullmatch(text) is not None


def title(flaw: Flaw) -> str:
    """Return one line that says what it is."""
    return line(flaw.title) or f"Flaw {line(flaw.id)}"


def line(text: str, most: int = 2000) -> str:
    """Return hostile text on one line, without characters that a terminal obeys."""
    return printable(" ".join(text.split()))[:most]


def block(text: str, most: int = 40_000) -> str:
    """Return hostile text as code: indented, so that no reader of Markdown makes a link, a picture or HTML of it."""
    shown = printable("\n".join(text.splitlines()), keep_newlines=True)[:most].expandtabs(4)
    return "\n".join(f"    {each}" for each in shown.split("\n")) if shown.strip() else ""


def strictest(published: Iterable[Published]) -> Tlp:
    """Return the marking that holds for all of it."""
    return max((marking for each in published for marking in (each.flaw.tlp, each.fix.tlp)), key=_STRICTEST.index)


def changed_at(published: Iterable[Published]) -> datetime:
    """Return when anything of it changed last."""
    return max(moment for each in published for moment in (each.published_at, each.fix.updated_at))


def stamp(at: datetime) -> str:
    """Return the time in UTC as RFC 3339 has it, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20)


def identity(kind: str, content: object) -> UUID:
    """Return a UUID that is the same for the same content, so that the same record gives the same bytes."""
    return uuid5(_NAMESPACE, f"{kind} {digest_of(canonical_json(content))}")


def not_nothing(published: Sequence[Published]) -> None:
    """Refuse to make a document about nothing, which its format does not allow. Raises ValueError."""
    if not published:
        raise ValueError("there is no published fix to tell of")
