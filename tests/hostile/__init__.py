"""Hostile or careless input, in this process; tests/system/test_hostile.py has real servers."""
