import io
from xml.dom import pulldom
from xml.sax import handler, make_parser
import xml.sax


def untangled(text):
    # ruleid: python-xml-external-entities
    parser = make_parser()
    parser.setContentHandler(handler.ContentHandler())
    parser.parse(io.StringIO(text))


def others(text):
    # ruleid: python-xml-external-entities
    xml.sax.parseString(text, handler.ContentHandler())
    # ruleid: python-xml-external-entities
    pulldom.parseString(text)


def safe(text, hardened):
    # ok: python-xml-external-entities
    parser = make_parser()
    parser.setFeature(handler.feature_external_ges, False)
    parser.parse(text)
    # ok: python-xml-external-entities
    pulldom.parseString(text, hardened)


def defused(text):
    from defusedxml.sax import make_parser

    # ok: python-xml-external-entities
    return make_parser()
