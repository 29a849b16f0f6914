"""The same by other spellings of the tag, bytes, nesting, and other ways to the reader."""

import os

import pytest
from pyanyapi import YAMLInterface, YAMLParser

MARK = "PYANYAPI_VARIANT_MARK"
CODE = "__import__('os').environ.update(%s='1')" % MARK
PLAIN = '!!python/object/new:tuple [!!python/object/new:map [!!python/name:eval , ["%s"]]]' % CODE
VERBATIM = (
    "!<tag:yaml.org,2002:python/object/new:tuple> [!<tag:yaml.org,2002:python/object/new:map> "
    '[!<tag:yaml.org,2002:python/name:eval> , ["%s"]]]' % CODE
)
HANDLE = '%%TAG !x! tag:yaml.org,2002:python/\n---\n!x!object/new:tuple [!x!object/new:map [!x!name:eval , ["%s"]]]' % CODE
ESCAPED = '!!%%70ython/object/new:tuple [!!%%70ython/object/new:map [!!%%70ython/name:eval , ["%s"]]]' % CODE
OTHER = '!!python/object/new:frozenset [!!python/object/new:map [!!python/name:builtins.eval , ["%s"]]]' % CODE


class Text(str):
    """A body that an HTTP library wrapped."""


@pytest.fixture(autouse=True)
def clean():
    os.environ.pop(MARK, None)
    yield
    os.environ.pop(MARK, None)


def runs_code(content):
    try:
        YAMLParser({"test": "test"}).parse(content).parse_all()
    except Exception as error:
        print("refused:", error)
    return MARK in os.environ


@pytest.mark.parametrize("text", [PLAIN, VERBATIM, HANDLE, ESCAPED, OTHER], ids=["plain", "verbatim", "handle", "escaped", "other-class"])
def test_variant_tag(text):
    assert not runs_code(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_variant_bytes(encoding):
    assert not runs_code(PLAIN.encode(encoding))


def test_variant_subclass_of_text():
    assert not runs_code(Text(PLAIN))


def test_variant_nested():
    assert not runs_code("status: fine\nitems:\n  - name: a\n    more:\n      - " + PLAIN)


def test_variant_key():
    assert not runs_code("? " + PLAIN + "\n: value")


def test_variant_after_a_comment():
    assert not runs_code("# version 1\n\n" + PLAIN)


def test_variant_interface_alone():
    try:
        YAMLInterface(PLAIN).parse("test")
    except Exception as error:
        print("refused:", error)
    assert MARK not in os.environ


def test_variant_own_parser_class():
    class Own(YAMLParser):
        settings = {"test": "test"}

    try:
        print(Own().parse(PLAIN).test)
    except Exception as error:
        print("refused:", error)
    assert MARK not in os.environ


def test_variant_object_of_the_process():
    """No code runs here, but a document that hands out functions of the process is the same flaw."""
    try:
        value = YAMLParser({"test": "test"}).parse("test: !!python/name:os.getcwd").test
    except Exception as error:
        print("refused:", error)
        value = None
    assert not callable(value)
