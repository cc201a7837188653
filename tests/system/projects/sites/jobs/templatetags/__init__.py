"""The board's tags."""
