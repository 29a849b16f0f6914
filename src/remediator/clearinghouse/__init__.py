"""The clearinghouse: an open protocol, a reference server that believes nobody, and a client that never loses or doubles a fix."""
