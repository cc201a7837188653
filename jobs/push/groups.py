"""The channel layer's groups that carry the topics; many topics of a kind share one.

A PUBLISH is heard in all databases of a Redis. So a group also names the database, unless that is 0.
"""

from zlib import crc32

from jobs.conf import jobs_settings
from jobs.store.address import address


def group_of(topic: str, shards: int) -> str:
    """Name the channel layer's group that carries a topic; many topics of a kind share one.

    A server on whose pages nobody listens to owners or tags is not told of theirs.
    """
    kind = topic.partition(":")[0]
    number = crc32(topic.encode("utf-8", "surrogatepass")) % shards
    return _group(f"{number}" if kind == "job" else f"{kind}.{number}")


def everybody() -> str:
    """Name the group of every server process."""
    return _group("all")


def _group(name: str) -> str:
    database = address().database
    return (
        f"{jobs_settings().PREFIX}.{database}.{name}"
        if database
        else f"{jobs_settings().PREFIX}.{name}"
    )
