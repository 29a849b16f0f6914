"""XML documents as objects."""
from xml.sax import handler, make_parser

MAX_DEPTH = 64


class Handler(handler.ContentHandler):
    def __init__(self):
        handler.ContentHandler.__init__(self)
        self.root = []

    def startElement(self, name, attributes):
        self.root.append((name, dict(attributes)))


def parse(filename):
    """Parse a file or URL."""
    if filename is None:
        raise ValueError('parse() takes a filename, URL or XML string')
    parser = make_parser()
    sax_handler = Handler()
    parser.setContentHandler(sax_handler)
    parser.parse(filename)
    return sax_handler.root
