"""Where a list goes on: sealed, so that a cursor tells nothing, and is taken only for the list that it was given for."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem
from remediator.evidence.keys import SigningKey
from remediator.records.record import canonical_json

_PURPOSE = b"remediator clearinghouse: cursors, version 1"
_STEP = 64


class Cursors:
    """Seals with AES-SIV (RFC 5297), which has no nonce: the same page has the same bytes each time, as its ETag must.

    The key follows from the ledger's, which all servers of one clearinghouse share.
    """

    def __init__(self, key: SigningKey) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        self._sealer = AESSIV(hashlib.sha512(key.sign(_PURPOSE)).digest())

    def seal(self, place: Sequence[Any] | None, *about: object) -> str:
        """Return the cursor for a place in a list; `about` is which list, whose, and how it is filtered. Empty at the end."""
        if place is None:
            return ""
        text = json.dumps(list(place)).encode()
        # By its length, too, it tells nothing of what it stands for.
        text += b" " * (-len(text) % _STEP)
        return base64.urlsafe_b64encode(self._sealer.encrypt(text, [canonical_json(list(about))])).decode().rstrip("=")

    def open(self, cursor: str, *about: object) -> list[Any] | None:
        """Return the place that a cursor stands for; None for none. Raises RefusedError for one that was not given for this list."""
        if not cursor:
            return None
        from cryptography.exceptions import InvalidTag

        try:
            sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            return list(json.loads(self._sealer.decrypt(sealed, [canonical_json(list(about))])))
        except (InvalidTag, ValueError) as error:
            raise RefusedError(Problem.bad_request, "that is no cursor of this list", hint="use `next` of the page before") from error
