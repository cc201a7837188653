"""Where an ended job is kept."""
