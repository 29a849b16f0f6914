"""What a flaw means to an operator: which of its components it touches, how urgent it is, and why."""
