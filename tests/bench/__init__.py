"""The benchmark: from "the worker says done" to "the frame is at the socket", beside the tutorial and a bare server.

`python -m tests.bench [--quick] [--json FILE] [--jobs N] [--sockets N]`; for Linux. Ratios of one run are what counts:
the subjects take turns in it, round after round, on one private Redis and one private database.
"""
