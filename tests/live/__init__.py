"""One open page."""
