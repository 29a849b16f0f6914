"""Hands proven fixes over to a clearinghouse, by way of an outbox on disk: offline, nothing is lost; asked again, nothing is doubled."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from remediator.builtin.proven import proven_bundle
from remediator.clearinghouse.client.handing import put_fix
from remediator.clearinghouse.client.http import Clearinghouse, Place
from remediator.clearinghouse.client.outbox import Item, Outbox
from remediator.clearinghouse.wire.terms import Tlp
from remediator.contracts.sink import Sink
from remediator.errors import ConfigError, RemediatorError, SinkError
from remediator.evidence.keys import signing_key
from remediator.records.submission import Receipt, Submission
from remediator.settings import read_reference


class ClearinghouseSink(Sink):
    """Submits each proven fix to the clearinghouse `place` of the settings.

    `project` names the project where the source is a folder, which nobody else knows. Where the clearinghouse cannot be asked the fix stays
    in the outbox, and the receipt says so: `remediator submit` delivers what is left.
    """

    name = "clearinghouse"

    place: str = ""
    project: str = ""
    state: str = ""
    places: dict[str, dict[str, Any]] = {}

    async def submit(self, submission: Submission) -> Receipt:
        """Put the fix into the outbox, then deliver it. Raises SinkError, ConfigError, EvidenceError, UsageError."""
        name, told = self._told()
        proven = await asyncio.to_thread(proven_bundle, submission)
        outbox = await asyncio.to_thread(Outbox, Path(self.state))
        try:
            item = await asyncio.to_thread(
                put_fix,
                outbox,
                name,
                proven.bundle,
                proven.archive,
                project=self.project,
                tlp=Tlp(told["tlp"]),
                embargo_days=told["embargo_days"],
                ledger=told["trust"],
            )
            if told["offline"]:
                return self._kept(submission, item, "this machine is offline")
            try:
                item = await self._delivered(outbox, item, name, told)
            except SinkError as error:
                return self._kept(submission, item, error.message)
        finally:
            outbox.close()
        if item.state != "delivered" or item.answer is None:
            # The other cases of the run have nothing to do with it, so it does not end them.
            return self._kept(submission, item, f"{name} refused it: {item.problem}", "mend that, then `remediator submit --again`")
        where = f"{told['url'].rstrip('/')}/v1/fixes/{item.answer.id}"
        return Receipt(
            submission_id=submission.id, sink=self.name, location=where, duplicate=item.answer.duplicate, detail=item.answer.state
        )

    async def _delivered(self, outbox: Outbox, item: Item, name: str, told: dict[str, Any]) -> Item:
        token = await asyncio.to_thread(read_reference, told["token"])
        key = await asyncio.to_thread(signing_key, Path(self.state) / "keys")
        place = Place(name, told["url"], token, told["trust"], told["ca_bundle"])
        try:
            async with Clearinghouse.connect(place, key) as clearinghouse:
                return await outbox.deliver(item, clearinghouse)
        except SinkError:
            raise
        except RemediatorError as error:
            # A token or a key that is to be mended: the fix waits for that, too.
            raise SinkError(error.message, hint=error.hint) from error

    def _kept(self, submission: Submission, item: Item, why: str, then: str = "`remediator submit` delivers it") -> Receipt:
        where = f"outbox:{item.number}"
        return Receipt(submission_id=submission.id, sink=self.name, location=where, delivered=False, detail=f"in the outbox: {why}; {then}")

    def _told(self) -> tuple[str, dict[str, Any]]:
        if self.place in self.places:
            return self.place, self.places[self.place]
        if not self.place and len(self.places) == 1:
            return next(iter(self.places.items()))
        there = ", ".join(sorted(self.places)) or "none"
        told = f"no clearinghouse {self.place!r}" if self.place else "which clearinghouse?"
        raise ConfigError(f"{told} in the settings (there: {there})", hint="write a table [clearinghouses.NAME] into remediator.toml")
