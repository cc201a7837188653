"""The waiting page and its end: the claim and the redirect."""
