"""Other characters that end an attribute's name, other types of keys, other environments."""

import asyncio
from html.parser import HTMLParser

import pytest
from jinja2 import Environment
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup


class Text(str):
    """A key that a form library wrapped."""


class Named:
    """A key that is text only when it is printed."""

    def __str__(self):
        return "src onerror=alert(1) x"


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.names = set()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.names |= {name.strip() for name, _ in attrs}


def injects(key, environment=None, value="y", source="<img{{ values|xmlattr }}>"):
    environment = environment or Environment(autoescape=True)
    try:
        page = environment.from_string(source).render(values={"alt": "a", key: value})
    except Exception as error:
        print("refused:", error)
        return False
    reader = Reader()
    reader.feed(page)
    return "onerror" in reader.names or reader.tags != ["img"]


@pytest.mark.parametrize("white", ["\t", "\n", "\r", "\f", "\r\n", "  "], ids=["tab", "lf", "cr", "ff", "crlf", "two-spaces"])
def test_variant_white_space(white):
    assert not injects("src" + white + "onerror=alert(1)" + white + "x")


def test_variant_slash():
    assert not injects("src/onerror=alert(1)/x")


def test_variant_equals():
    assert not injects("onerror=alert(1);x")


def test_variant_leading_space():
    assert not injects(" onerror=alert(1)//")


def test_variant_long_key():
    assert not injects("data-" + "x" * 500 + " onerror=alert(1) x")


def test_variant_case():
    assert not injects("SRC OnErRor=alert(1) x")


def test_variant_handler_at_the_end():
    assert not injects("x onerror", value="alert(1)")


@pytest.mark.parametrize("kind", [Text, Markup])
def test_variant_subclass_of_text(kind):
    assert not injects(kind("src onerror=alert(1) x"))


def test_variant_key_that_closes_the_element():
    assert not injects(Markup("x><script>alert(1)</script"))


def test_variant_key_that_is_no_text():
    assert not injects(Named())


def test_variant_without_autoescape():
    assert not injects("src onerror=alert(1) x", Environment())


def test_variant_sandbox():
    assert not injects("src onerror=alert(1) x", SandboxedEnvironment(autoescape=True))


def test_variant_without_autospace():
    assert not injects("src onerror=alert(1) x", source="<img {{ values|xmlattr(false) }}>")


def test_variant_call_block():
    assert not injects("src onerror=alert(1) x", source="<img{% filter upper|lower %}{{ values|xmlattr }}{% endfilter %}>")


def test_variant_async():
    environment = Environment(autoescape=True, enable_async=True)
    template = environment.from_string("<img{{ values|xmlattr }}>")
    try:
        page = asyncio.run(template.render_async(values={"src onerror=alert(1) x": "y"}))
    except Exception as error:
        page = ""
        print("refused:", error)
    reader = Reader()
    reader.feed(page)
    assert "onerror" not in reader.names
