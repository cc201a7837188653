"""The documents are true: their snippets run, and their tables match the code."""
