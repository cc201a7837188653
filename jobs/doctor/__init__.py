"""`jobs_doctor`: walk the path of a job and name what is missing.

`walk` lists the steps in order. Each other module holds the steps of one subject.
"""
