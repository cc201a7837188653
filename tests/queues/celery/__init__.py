"""Celery as the queue."""
