"""YAML as servers send it."""

import datetime

import pytest
from pyanyapi import JSONParser, RegExpParser, YAMLParser
from pyanyapi.exceptions import ResponseParseError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("test: 1", 1),
        ("test: 1.5", 1.5),
        ("test: true", True),
        ("test: null", None),
        ("test: word", "word"),
        ("test: '12'", "12"),
        ("test: [1, two, {three: 3}]", [1, "two", {"three": 3}]),
        ("test:\n  - a\n  - b", ["a", "b"]),
        ("test: 2020-01-02", datetime.date(2020, 1, 2)),
        ("base: &b {a: 1}\ntest: {<<: *b, c: 2}", {"a": 1, "c": 2}),
        ("test: |\n  two\n  lines\n", "two\nlines\n"),
        ("test: '!!python/name:eval is a word here'", "!!python/name:eval is a word here"),
        ("test: the python/object/new tag is explained here", "the python/object/new tag is explained here"),
        ("test: !!str 12", "12"),
        ("test: !!set {a, b}", {"a", "b"}),
        ("test: !!binary aGk=", b"hi"),
        ("{\"test\": {\"json\": [1]}}", {"json": [1]}),
    ],
)
def test_control_value(text, expected):
    value = YAMLParser({"test": "test"}).parse(text).test
    assert value == expected
    assert type(value) is type(expected)


def test_control_bytes():
    assert YAMLParser({"test": "test"}).parse("test: \u00e4".encode()).test == "\u00e4"


def test_control_path():
    assert YAMLParser({"test": "container > test"}).parse("container: {test: 123}").test == 123


def test_control_damaged_document():
    with pytest.raises(ResponseParseError):
        YAMLParser({"test": "test"}).parse("a: [1, 2").test


def test_control_parse_all():
    assert YAMLParser({"a": "a", "b": "b"}).parse("a: 1\nb: 2").parse_all() == {"a": 1, "b": 2}


def test_control_other_parsers():
    assert JSONParser({"a": "a"}).parse('{"a": 1}').a == 1
    assert RegExpParser({"a": "\\d+"}).parse("x 12").a == "12"
