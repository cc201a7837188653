"""System checks with stable ids: what is wrong with the settings and the project, at start-up.

One file per subject holds the checks. `registration` lists them all.
"""
