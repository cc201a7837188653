"""The whole project on one machine with one command: an embedded Redis, the database, a worker and a web server."""
