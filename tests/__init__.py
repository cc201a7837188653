"""The tests: one file per module, stories, and live/ with real processes and a real browser."""
