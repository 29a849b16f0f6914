"""Literals and escapes that parsed before."""

import pytest
import sqlparse
from sqlparse import tokens


def literals(text, kind):
    return [token.value for token in sqlparse.parse(text)[0].flatten() if token.ttype is kind]


@pytest.mark.parametrize(
    "literal",
    ["''", "'a'", "'it''s'", r"'it\'s'", r"'a\b'", r"'C:\temp\new'", r"'\\'", r"'a\\b'", "'two\nlines'", "'\u00e4\u00df'", "'say \"x\"'", r"'\\\\'"],
)
def test_control_single_quotes(literal):
    assert literals("select " + literal + " from t", tokens.String.Single) == [literal]


@pytest.mark.parametrize("literal", ['""', '"a"', '"a""b"', r'"a\"b"', r'"a\b"', r'"a\\b"', '"it\'s"', '"two words"'])
def test_control_double_quotes(literal):
    assert literals("select " + literal + " from t", tokens.String.Symbol) == [literal]


@pytest.mark.parametrize("text", [r"'\'", r"'foo\'"])
def test_control_literal_that_ends_in_a_backslash(text):
    assert literals("select " + text, tokens.String.Single) == [text]


def test_control_two_literals():
    assert literals(r"select 'a\'b', 'c''d'", tokens.String.Single) == [r"'a\'b'", "'c''d'"]


def test_control_semicolon_in_a_literal():
    assert sqlparse.split(r"select 'a;\';b'; select 2") == [r"select 'a;\';b';", "select 2"]


def test_control_nothing_is_lost():
    text = "select 'open \\\\ literal, \"another\\\\ one"
    assert "".join(str(statement) for statement in sqlparse.parse(text)) == text


def test_control_nothing_is_lost_with_many_backslashes():
    text = "select '" + "\\\\" * 120 + "' from t"
    assert "".join(str(statement) for statement in sqlparse.parse(text)) == text
    assert literals(text, tokens.String.Single) == ["'" + "\\\\" * 120 + "'"]


def test_control_format():
    assert sqlparse.format("select 'x', \"y\" from t", keyword_case="upper") == "SELECT 'x', \"y\" FROM t"


def test_control_long_statement():
    text = "select " + ", ".join("'value %d'" % number for number in range(400)) + " from t"
    assert len(literals(text, tokens.String.Single)) == 400
