"""One open page: its socket, its subscriptions, and its limits."""
