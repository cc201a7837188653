"""What one process keeps: threads, timers and late writes."""
