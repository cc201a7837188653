"""Where a living job is kept."""
