"""Hands proven fixes over into a folder; works without any network."""

from __future__ import annotations

import asyncio
from pathlib import Path

from remediator.builtin.proven import proven_bundle
from remediator.builtin.sent_ledger import checked_id, locked
from remediator.contracts.sink import Sink
from remediator.errors import ConfigError
from remediator.evidence.container import write_folder
from remediator.evidence.content import json_file
from remediator.records.submission import Receipt, Submission


class SpoolSink(Sink):
    """Puts each submission into a folder of its own: `submission.json`, `patch.diff`, `bundle.tar.zst`.

    `folder` is where; by default `spool` in the state folder, which the run gives as `state`. The ledger `sent.jsonl` beside them says what
    was ever sent, so an entry that was carried away is not made again.
    """

    name = "spool"

    folder: str = ""
    state: str = ""

    async def submit(self, submission: Submission) -> Receipt:
        """Put the submission into the folder, once. Raises SinkError where it did not arrive, EvidenceError where it is not proven."""
        return await asyncio.to_thread(self._deliver, submission)

    def _deliver(self, submission: Submission) -> Receipt:
        folder, submission_id = self._folder(), checked_id(submission)
        with locked(folder) as ledger:
            if (there := ledger.location(submission_id)) is not None:
                return Receipt(submission_id=submission_id, sink=self.name, location=str(folder / there), duplicate=True)
            entry = folder / submission_id
            # It is there without a line in the ledger where a writer died between the two: it arrived, and is noted now.
            if not entry.is_dir():
                write_folder(entry, _files(submission))
            ledger.add(submission, submission_id)
        return Receipt(submission_id=submission_id, sink=self.name, location=str(entry))

    def _folder(self) -> Path:
        if self.folder:
            return Path(self.folder).expanduser()
        if self.state:
            return Path(self.state) / "spool"
        raise ConfigError("the spool sink has no folder", hint="give it one: `- {use: spool, with: {folder: PATH}}`")


def _files(submission: Submission) -> dict[str, bytes]:
    proven = proven_bundle(submission)
    # What leaves is what the bundle tells: it knows nothing of this machine.
    told = {
        "id": submission.id,
        "case_id": submission.case_id,
        "source": proven.bundle.source.as_json(),
        "finding": proven.bundle.finding.as_json(),
        "patch": proven.patch.as_json(),
        "verdict": proven.verdict.as_json(),
        "bundle_digest": submission.bundle_digest,
        "bundle_path": "bundle.tar.zst",
    }
    return {
        "submission.json": json_file(told),
        "patch.diff": submission.patch.diff.encode("utf-8", "surrogateescape"),
        "bundle.tar.zst": proven.archive,
    }
