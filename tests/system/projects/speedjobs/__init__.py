"""An app with one task that reports far more than anybody can read."""
