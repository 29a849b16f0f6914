"""The other side of the protocol: hands over without loss or doubling, and believes no clearinghouse that it cannot check."""
