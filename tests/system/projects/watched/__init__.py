"""The runnable project with all that an operator can add: metrics, traces and a health check."""
