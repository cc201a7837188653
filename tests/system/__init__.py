"""Tests with a real worker, a real server, a real Redis and a real browser."""
