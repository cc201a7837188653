"""The groups of the channel layer that carry the topics.

A PUBLISH is heard in all databases of a Redis, so a group also names the database, unless it is 0.
"""

from zlib import crc32

from jobs.conf import jobs_settings
from jobs.store.address import address


def group_of(topic: str, shards: int) -> str:
    """Name the group that carries a topic. Many topics of one kind share a group.

    Owners and tags have groups of their own, so a server whose pages only wait for jobs does not
    get their messages.
    """
    kind = topic.partition(":")[0]
    number = crc32(topic.encode("utf-8", "surrogatepass")) % shards
    return _group(f"{number}" if kind == "job" else f"{kind}.{number}")


def everybody() -> str:
    """Name the group of every server process."""
    return _group("all")


def _group(name: str) -> str:
    database = address().database
    prefix = jobs_settings().PREFIX
    return f"{prefix}.{database}.{name}" if database else f"{prefix}.{name}"
