"""Projects of other people: each module of settings is one situation, and all of them run the same jobs."""
