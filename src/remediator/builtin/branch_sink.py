"""Hands proven fixes over as patch files that `git am` takes, or as branches of a repository that the operator names."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Self

from pydantic import model_validator

from remediator.artefacts import write_atomically
from remediator.builtin.handed_message import message_of
from remediator.builtin.mailed_patch import mailed_patch
from remediator.builtin.proven import proven_bundle
from remediator.builtin.sent_ledger import checked_id, locked
from remediator.contracts.sink import Sink
from remediator.errors import RemediatorError, SinkError
from remediator.records.submission import Receipt, Submission

_AUTHOR = re.compile(r"[\x20-\x3b\x3d\x3f-\x7e]+ <[\x21-\x3b\x3d\x3f-\x7e]+>\Z")


class BranchSink(Sink):
    """Writes one mailbox file for each fix into `folder`, and with `repository` also a branch `remediator/<case>-<patch>` there.

    The branch's name says what is on it, so one that is there already is the same fix, handed over before. It is made on top of HEAD and
    not checked out. Both say what was wrong, how far the fix is proven and by what. `author` stands in them as who made the change.
    """

    name = "branch"

    folder: str = ""
    repository: Path | None = None
    author: str = "remediator <remediator@localhost>"

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.folder and self.repository is None:
            raise ValueError("name a `folder` for patch files, a `repository` for branches, or both")
        if not _AUTHOR.match(self.author):
            raise ValueError("`author` is written `Name <address>`, in plain ASCII")
        return self

    async def submit(self, submission: Submission) -> Receipt:
        """Write the patch file and the branch, once.

        Raises SinkError where it did not arrive, EvidenceError where it is not proven, PatchConflictError where the files have changed.
        """
        return await asyncio.to_thread(self._deliver, submission)

    def _deliver(self, submission: Submission) -> Receipt:
        checked_id(submission)
        proven_bundle(submission)
        told = [part for part in (self._branched(submission), self._filed(submission)) if part is not None]
        return Receipt(
            submission_id=submission.id,
            sink=self.name,
            location=", ".join(receipt.location for receipt in told),
            duplicate=all(receipt.duplicate for receipt in told),
        )

    def _filed(self, submission: Submission) -> Receipt | None:
        if not self.folder:
            return None
        folder = Path(self.folder).expanduser()
        with locked(folder) as ledger:
            there = ledger.location(submission.id)
            path = folder / (there or f"{submission.id}.patch")
            if there is None:
                write_atomically(path, mailed_patch(submission, author=self.author), mode=0o644)
                ledger.add(submission, path.name)
        return Receipt(submission_id=submission.id, sink=self.name, location=str(path), duplicate=there is not None)

    def _branched(self, submission: Submission) -> Receipt | None:
        if self.repository is None:
            return None
        from remediator.checkout import create_branch

        branch = f"remediator/{_slug(submission.case_id)}-{_slug(submission.patch.id)}"
        there = _has_branch(self.repository, branch)
        if not there:
            try:
                change = [(message_of(submission), submission.patch.diff)]
                there = create_branch(self.repository, change, branch=branch, author=self.author).existed
            except RemediatorError:
                # Another process may have been first; then it is there, and that is all that was asked for.
                there = _has_branch(self.repository, branch)
                if not there:
                    raise
        return Receipt(submission_id=submission.id, sink=self.name, location=f"{self.repository} branch {branch}", duplicate=there)


def _has_branch(repository: Path, branch: str) -> bool:
    from remediator.git_foreign import find_layout, find_ref

    layout = find_layout(repository)
    if layout is None:
        raise SinkError(f"{repository} is not a git repository", hint="name one in the playbook: `with: {repository: PATH}`")
    return find_ref(layout, f"refs/heads/{branch}") is not None


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-")[:60]
