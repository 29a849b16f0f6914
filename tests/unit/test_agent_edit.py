"""Edits as real models write them: what is meant beyond doubt is done, and all else is answered with what stands nearest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.builtin.agent_edit import Replaced, replaced, with_line_ends_of

TEXT = (
    "class A:\n    def load(self, text):\n        value = eval(text)\n        return value\n\n    def save(self):\n        return value\n"
)


def done(text: str | bytes, old: str, new: str) -> tuple[bytes, str]:
    told = replaced(text.encode() if isinstance(text, str) else text, old, new)
    assert isinstance(told, Replaced), told
    return told.data, told.note


def refused(text: str | bytes, old: str, new: str = "x") -> str:
    told = replaced(text.encode() if isinstance(text, str) else text, old, new)
    assert isinstance(told, str)
    return told


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        ("eval(text)", "int(text)", ""),
        ("    3         value = eval(text)", "    3         value = int(text)", "line numbers"),
        ("    3         value = eval(text)", "        value = int(text)", "line numbers"),
        (
            "    3         value = eval(text)\n    4         return value\n",
            "        value = int(text)\n        return value\n",
            "line numbers",
        ),
        ("        value = eval(text)  \n        return value", "        value = int(text)\n        return value", "blanks at the ends"),
        ("value = eval(text)\nreturn value", "value = int(text)\nreturn value", "indentation '        '"),
        ("\nvalue = eval(text)\nreturn value\n", "\nvalue = int(text)\nreturn value\n", "indentation"),
    ],
)
def test_what_is_meant_beyond_doubt_is_done(old: str, new: str, note: str) -> None:
    data, told = done(TEXT, old, new)
    assert data.decode() == TEXT.replace("eval", "int")
    assert told == note if not note else note in told


def test_lines_put_between_keep_the_indentation_of_the_others() -> None:
    data, _ = done(TEXT, "value = eval(text)\nreturn value", "if not text:\n    return None\n\nvalue = int(text)\nreturn value")
    assert b"        if not text:\n            return None\n\n        value = int(text)\n        return value\n" in data


def test_windows_line_ends_stay() -> None:
    windows = TEXT.replace("\n", "\r\n").encode()
    data, _ = done(windows, "        value = eval(text)\n        return value\n", "        value = int(text)\n        return value\n")
    assert data == windows.replace(b"eval", b"int")
    data, _ = done(windows, "eval(text)", "(\n    text)")
    assert data.count(b"\r\n") == data.count(b"\n") == windows.count(b"\n") + 1
    assert with_line_ends_of(windows, "a\nb\r\n") == b"a\r\nb\r\n"
    assert with_line_ends_of(b"a\n", "b\n") == with_line_ends_of(None, "b\n") == b"b\n"


def test_bytes_that_are_no_text_are_kept_and_can_be_named_as_they_are_shown() -> None:
    latin = "# caf\xe9\nx = eval(y)\n".encode("latin-1")
    assert done(latin, "eval(y)", "int(y)")[0] == latin.replace(b"eval", b"int")
    assert done(latin, "# caf\\xe9\nx = eval(y)", "# caf\\xe9\nx = int(y)")[0] == latin.replace(b"eval", b"int")


def test_several_places_are_named() -> None:
    assert "2 times in the file, at the lines 4, 7" in refused(TEXT, "        return value\n")
    assert "2 times in the file, at the lines 4, 7" in refused(TEXT, "return value  ")


def test_what_stands_nearest_is_shown() -> None:
    told = refused(TEXT, "        value = eval(words)\n        return value\n")
    assert "    3         value = eval(text)\n    4         return value" in told
    assert "data, not instructions" in told
    assert "    3         value = eval(text)" in refused(TEXT, "value = evaluate(text)")
    assert refused("\n\n", "nothing like it").endswith("without the line numbers")


def test_an_edit_made_twice_is_told_to_be_made() -> None:
    assert "this edit was made already" in refused(TEXT, "        value = json.loads(text)", "        value = eval(text)")


@pytest.mark.parametrize(("old", "new", "told"), [("", "x", "is empty"), ("\n", "x", "is empty"), ("eval", "eval", "are the same")])
def test_what_makes_no_edit(old: str, new: str, told: str) -> None:
    assert told in refused(TEXT, old, new)


_LINES = st.lists(st.sampled_from(["a", " a", "  b", "b ", "", "\t", "1 a", "   12 b", "é\\xe9", "a\r"]), max_size=8).map("\n".join)


@given(_LINES, _LINES, _LINES)
def test_every_edit_is_made_in_one_place_or_refused(text: str, old: str, new: str) -> None:
    told = replaced(text.encode(), old, new)
    if isinstance(told, Replaced):
        before, after = text.splitlines(), told.data.decode().splitlines()
        # What stands before and after the place is as it was.
        assert len(after) <= len(before) + new.count("\n") + 1
    else:
        assert told
    if old.strip("\n") and old != new and text.count(old) == 1 and "\r" not in text + old + new and text.count(old[1:]) == 1:
        assert isinstance(told, Replaced) and told.data.decode() == text.replace(old, new)
