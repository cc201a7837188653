"""The moment between "Submit" and "Done": waiting pages for background jobs."""
