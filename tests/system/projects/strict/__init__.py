"""A strict site: below a path, only hashed static files, and a policy with nonces (`strict-dynamic`)."""
