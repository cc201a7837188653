"""Tests of the sweep and the purge."""
