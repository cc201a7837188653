"""The claim and the redirect at the end of a wait."""
