"""`jobs_doctor`."""
