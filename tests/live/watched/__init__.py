"""The runnable project with all that an operator can add: metrics and a health check."""
