"""Whether a server keeps the protocol: statements of docs/reference/protocol.md, asked over HTTP only."""
