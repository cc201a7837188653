"""Where an ended job is kept: the database."""
