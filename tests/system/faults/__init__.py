"""Each fault of a job's life, injected into real processes, and looked at from outside."""
