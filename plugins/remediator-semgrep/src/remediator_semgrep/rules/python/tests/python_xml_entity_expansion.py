import defusedxml.ElementTree
import xml.etree.ElementTree as ET
from xml.dom import minidom


def read(path, text):
    # ruleid: python-xml-entity-expansion
    ET.parse(path)
    # ruleid: python-xml-entity-expansion
    ET.fromstring(text)
    # ruleid: python-xml-entity-expansion
    minidom.parseString(text)
    # ok: python-xml-entity-expansion
    ET.fromstring("<a/>")
    # ok: python-xml-entity-expansion
    defusedxml.ElementTree.parse(path)
    # ok: python-xml-entity-expansion
    ET.tostring(text)
