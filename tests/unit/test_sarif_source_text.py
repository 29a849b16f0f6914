"""Lines and columns to bytes and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.records import Location
from remediator.records.source_text import SourceText

DATA = st.lists(st.sampled_from([b"a", b"\n", b"\r\n", "é".encode(), "\U0001f600".encode(), b"\xff", b"\r", b"\t"]), max_size=20).map(
    b"".join
)


def boundaries(data: bytes) -> list[int]:
    text = data.decode("utf-8", "surrogateescape")
    return [len(text[:end].encode("utf-8", "surrogateescape")) for end in range(len(text) + 1)]


@given(DATA, st.data())
def test_every_span_survives_the_round_trip(data: bytes, drawn: st.DataObject) -> None:
    start, end = sorted(drawn.draw(st.tuples(*[st.sampled_from(boundaries(data))] * 2)))
    source = SourceText(data)
    location = source.location("a", start, end)
    assert source.span(location) == (start, end)
    assert source.text(location).encode("utf-8", "surrogateescape") == data[start:end]


def test_byte_order_mark_is_no_column() -> None:
    source = SourceText(b"\xef\xbb\xbfx = 1\n")
    assert source.location("a", 3, 4) == Location(path="a", end_column=2)
    assert source.offset(1, 1) == 3


@pytest.mark.parametrize(("line", "column"), [(0, 1), (3, 1), (1, 0), (1, 5), (2, 2)])
def test_place_outside_is_refused(line: int, column: int) -> None:
    with pytest.raises(ValueError, match="no (line|column)"):
        SourceText(b"abc\n").offset(line, column)
