"""A published fix as a mail that `git am` takes."""

from __future__ import annotations

from remediator.clearinghouse.exports import told
from remediator.clearinghouse.wire.answers import Published
from remediator.diff import parse
from remediator.diff.letter import letter, words_of
from remediator.errors import PatchError


def mailed(published: Published, *, author: str = "remediator <remediator@localhost>") -> bytes:
    """Return the mail; the same record always gives the same bytes. Raises PatchError: it is withdrawn, or its patch is none."""
    if told.withdrawn(published):
        raise PatchError(told.withdrawal(published))
    # What is mailed must be a diff and nothing else, or it could begin a second mail.
    parse(published.patch)
    fix, flaw = published.fix, published.flaw
    weakness = ", ".join(f"CWE-{number}" for number in flaw.cwe)
    names = ", ".join(told.names(flaw)[:-1])
    checks = fix.validation.checks if fix.validation else ()
    return letter(
        published.patch,
        author=author,
        title=told.title(flaw),
        body=words_of(
            [
                ("Proven to evidence level", f"E{fix.level}, by a replay of the clearinghouse's own" if fix.level is not None else "none"),
                ("Flaw:", " ".join(filter(None, (names, f"({weakness})" if weakness else "", told.title(flaw))))),
                *([("Note:", unsure)] if (unsure := told.said_names(published)) else []),
            ],
            {
                "Remediator-Fix": told.line(fix.id),
                "Remediator-Flaw": told.line(flaw.id),
                "Remediator-Patch": told.line(fix.patch_id),
                "Remediator-Evidence": f"E{fix.level}" if fix.level is not None else "none",
                "Remediator-Bundle": told.line(fix.bundle),
                "Remediator-Submission": told.line(fix.submission_id),
            },
        ),
        below=[f"{check.get('level')} {check.get('name')}: {check.get('status')}" for check in checks],
    )
