"""What something cost."""

from __future__ import annotations

from decimal import Decimal

from remediator.records.record import Record


class Spend(Record):
    """Money, tokens and time; adds up with `+`. `unpriced_tokens` are those that cost what nobody told us: `usd` is without them."""

    usd: Decimal = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    unpriced_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Return the tokens sent and received."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            usd=self.usd + other.usd,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            seconds=self.seconds + other.seconds,
            unpriced_tokens=self.unpriced_tokens + other.unpriced_tokens,
        )
