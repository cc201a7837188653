"""Celery as the queue: what the view sends, and what a worker does with it."""
