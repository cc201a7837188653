"""Several of everything on one machine: the engines, and the files that docs/grow.md prints."""
