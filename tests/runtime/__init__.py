"""What one process keeps."""
