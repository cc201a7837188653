"""Hostile or careless input, in this process; what needs real servers is in tests/system/test_hostile.py."""
