"""The whole project with one command: an embedded Redis, the database, a worker and a server."""
