"""The benchmark: from the worker's "done" to the frame at the socket, beside two peers.

The peers are the tutorial's consumer and a bare server.

`python -m tests.bench [--quick] [--json FILE] [--jobs N] [--sockets N]`; for Linux. What counts
are the ratios of one run: the subjects take turns in it, round after round, on one private Redis
and one private database.
"""
