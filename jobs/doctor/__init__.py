"""`jobs_doctor`: walks the path of a job and names what is missing."""
