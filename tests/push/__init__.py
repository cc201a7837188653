"""From a write to every page that listens."""
