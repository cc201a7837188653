"""The commands: `jobs_doctor`, `purge_jobs`, `sweep_jobs`."""
