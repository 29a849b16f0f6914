"""The Python transforms of the codemod fixer, and the small framework that they stand on."""
