"""Attributes that templates use."""

import pytest
from jinja2 import Environment
from markupsafe import Markup


def render(values, source="<p{{ values|xmlattr }}>", autoescape=True):
    return Environment(autoescape=autoescape).from_string(source).render(values=values)


@pytest.mark.parametrize(
    "key",
    ["class", "id", "data-some-thing", "aria-label", "xlink:href", "xml:lang", "@click", "v-on:click.prevent", ":value", "_x", "h1", "größe", "[prop]", "(event)", "#ref", "Style"],
)
def test_control_key(key):
    assert render({key: "v"}) == '<p %s="v">' % key


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("two words", "two words"),
        ('say "x"', "say &#34;x&#34;"),
        ("a < b > c & d", "a &lt; b &gt; c &amp; d"),
        ("x onerror=alert(1)", "x onerror=alert(1)"),
        ("/path?a=b/c", "/path?a=b/c"),
        ("a\n\tb", "a\n\tb"),
        (0, "0"),
        (False, "False"),
        ("", ""),
        (Markup("&amp;"), "&amp;"),
    ],
)
def test_control_value(value, expected):
    assert render({"k": value}) == '<p k="%s">' % expected


def test_control_order():
    assert render({"b": 1, "a": 2, "c": 3}) == '<p b="1" a="2" c="3">'


def test_control_none_and_undefined():
    environment = Environment(autoescape=True)
    assert environment.from_string("<p{{ {'a': none, 'b': missing, 'c': 1}|xmlattr }}>").render() == '<p c="1">'


def test_control_empty():
    assert render({}) == "<p>"


def test_control_autospace():
    assert render({"a": 1}, "<p {{ values|xmlattr(false) }}>") == '<p a="1">'


@pytest.mark.parametrize("autoescape", [True, False])
def test_control_escaping_of_keys(autoescape):
    assert render({'a"<': "v"}, autoescape=autoescape) == '<p a&#34;&lt;="v">'


def test_control_result_is_marked_safe():
    environment = Environment(autoescape=True)
    assert environment.from_string("{{ (v|xmlattr) ~ '' }}").render(v={"a": "b"}) == ' a="b"'


def test_control_number_as_key():
    assert render({1: "v"}) == '<p 1="v">'


def test_control_word_on_in_a_key():
    assert render({"onclick": "f()", "data-onerror": "x"}) == '<p onclick="f()" data-onerror="x">'
