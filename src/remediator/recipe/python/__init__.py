"""Everything that only Python knows about building and testing a project."""
