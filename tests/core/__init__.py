"""What a job is, tested without Redis."""
