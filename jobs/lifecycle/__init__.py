"""One job between its first and its last write."""
