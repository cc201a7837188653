"""An app of many kinds of jobs, whose hooks leave one row for each run that took effect."""
