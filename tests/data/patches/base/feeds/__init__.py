from .exceptions import ResponseParseError
from .interfaces import JSONInterface, RegExpInterface, YAMLInterface

__all__ = ['JSONInterface', 'RegExpInterface', 'ResponseParseError', 'YAMLInterface']
