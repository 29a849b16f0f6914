"""A YAML answer from a server is data; reading it must not run anything."""

from pyanyapi import YAMLParser
from pyanyapi.exceptions import ResponseParseError
from yaml import YAMLError


def test_reproducer(tmp_path):
    trace = tmp_path / "trace"
    text = (
        "!!python/object/new:tuple\n- !!python/object/new:map\n  - !!python/name:eval\n"
        "  - [\"__import__('pathlib').Path('%s').write_text('x')\"]\n" % trace
    )
    try:
        YAMLParser({"test": "test"}).parse(text).parse_all()
    except (ResponseParseError, TypeError, ValueError, YAMLError) as error:  # a refusal is one right answer
        print("refused:", error)
    assert not trace.exists(), "a YAML document ran code"
