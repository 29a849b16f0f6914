"""The clearinghouse's HTTP application: limits before parsing, parsing before believing, and the store for everything that lasts."""
