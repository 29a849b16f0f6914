class ResponseParseError(Exception):
    """The document is not what it should be."""
