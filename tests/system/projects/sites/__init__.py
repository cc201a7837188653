"""Projects of other people: one module of settings for each situation."""
