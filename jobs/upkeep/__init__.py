"""What keeps the store and the archive small."""
