"""What goes over the wire: verbs, answers, signed envelopes and the ledger's arithmetic. Pure values, no I/O."""
