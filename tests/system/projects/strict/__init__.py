"""A strict site: below a path, hashed static files only, a policy with nonces (`strict-dynamic`)."""
