"""Hostile or careless input, in this process; what needs real servers is in tests/live/test_hostile.py."""
