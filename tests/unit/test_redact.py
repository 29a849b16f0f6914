from __future__ import annotations

import time

import pytest

from remediator.redact import Redactor, printable


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_" + "a1" * 15,
        "sk-" + "x" * 24,
        "AKIA" + "A" * 16,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_secret_is_blanked(secret: str) -> None:
    assert secret not in Redactor()(f"before {secret} after")


def test_a_password_in_an_address_is_blanked_and_the_host_stays() -> None:
    assert Redactor()("https://me:hunter2@example.org/x") == "https://[redacted]@example.org/x"


def test_a_named_secret_is_blanked_exactly() -> None:
    assert Redactor(("correct horse",))("the correct horse battery") == "the [redacted] battery"


def test_plain_text_stays_as_it_is() -> None:
    text = "def key(self): return keys['public']  # eyes, task-list, https://example.org"
    assert Redactor()(text) == text


@pytest.mark.parametrize("text", ["ey-" * 60_000, "://a:" * 40_000, "-----BEGIN PRIVATE KEY-----" * 5_000, "ey" + "a" * 200_000])
def test_hostile_text_takes_no_time(text: str) -> None:
    began = time.process_time()
    Redactor()(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("two\nlines", "two\\x0alines"),
        ("bad\udcff", "bad\\udcff"),
        ("\u200bzero", "\\u200bzero"),
        ("plain ünï", "plain ünï"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown
