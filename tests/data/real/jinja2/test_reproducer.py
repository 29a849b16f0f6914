"""The xmlattr filter makes attributes from the keys of a mapping; one key must not become two attributes."""

from html.parser import HTMLParser

from jinja2 import Environment, TemplateError


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.names = set()

    def handle_starttag(self, tag, attrs):
        self.names |= {name for name, _ in attrs}


def test_reproducer():
    template = Environment(autoescape=True).from_string("<img{{ values|xmlattr }}>")
    try:
        page = template.render(values={"alt": "a picture", "src onerror=alert(1) x": "y"})
    except (TemplateError, TypeError, ValueError) as error:  # a refusal is one right answer
        page = ""
        print("refused:", error)
    reader = Reader()
    reader.feed(page)
    assert "onerror" not in reader.names, "a key of the mapping brought an event handler into the page"
