"""Published fixes in the formats that others read: OSV, CSAF, OpenVEX, CycloneDX VEX, and a mail for `git am`. Pure."""
