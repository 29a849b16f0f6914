"""What to mend first: CISA's BOD 26-04 table, fed by KEV, EPSS and SSVC files. Pure, but for reading files that the operator names."""
