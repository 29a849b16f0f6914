from lxml import etree, objectify


def read(path, text):
    # ruleid: python-lxml-external-entities
    etree.parse(path)
    # ruleid: python-lxml-external-entities
    etree.fromstring(text)
    # ruleid: python-lxml-external-entities
    etree.XMLParser(recover=True)
    # ruleid: python-lxml-external-entities
    objectify.fromstring(text)
    # ok: python-lxml-external-entities
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    # ok: python-lxml-external-entities
    etree.parse(path, parser)
    # ok: python-lxml-external-entities
    etree.fromstring(text, parser=parser)
    # ok: python-lxml-external-entities
    etree.HTMLParser()
