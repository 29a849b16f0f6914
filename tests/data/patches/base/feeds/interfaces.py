# coding: utf-8
"""Parsers that look at a document through a set of named questions."""
import json
import re

import yaml

from ._compat import etree
from .exceptions import ResponseParseError


class BaseInterface(object):
    """What every parser has."""

    errors = ()

    def __init__(self, content, strip=False):
        self.content = content
        self.strip = strip
        self._parsed = None

    @property
    def parsed_content(self):
        if self._parsed is None:
            self._parsed = self.perform_parsing()
        return self._parsed

    def perform_parsing(self):
        raise NotImplementedError

    def maybe_strip(self, value):
        if self.strip and hasattr(value, 'strip'):
            return value.strip()
        return value

    def parse(self, query):
        return self.maybe_strip(self.execute_method(query))

    def execute_method(self, query):
        raise NotImplementedError


class JSONInterface(BaseInterface):
    """A JSON document."""

    errors = (ValueError,)

    def perform_parsing(self):
        try:
            return json.loads(self.content)
        except self.errors as error:
            raise ResponseParseError('cannot parse the document', error)

    def execute_method(self, query):
        data = self.parsed_content
        for key in query.split(' > '):
            data = data[key] if key else data
        return data


class YAMLInterface(JSONInterface):
    """A YAML document."""

    errors = (yaml.error.YAMLError,)

    def perform_parsing(self):
        try:
            return yaml.load(self.content)
        except self.errors as error:
            raise ResponseParseError('cannot parse the document', error)


class RegExpInterface(BaseInterface):
    """Plain text."""

    def perform_parsing(self):
        return self.content

    def execute_method(self, query):
        found = re.findall(query, self.content)
        return found or None
