"""What one process keeps: values, threads, timers and late writes."""
