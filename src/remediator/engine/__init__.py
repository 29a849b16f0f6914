"""The engine: plans the next step of a case, performs it, remembers it."""
