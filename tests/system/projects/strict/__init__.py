"""A strict site: below a path, hashed static files, a policy with nonces (`strict-dynamic`)."""
