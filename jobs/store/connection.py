"""Connections to the Redis that holds the jobs, for threads and for event loops: the only place that opens them.

`JOBS["REDIS_URL"]` names the server (`redis://`, `rediss://`, `unix://`), or the sentinels that know which one it is:
`redis+sentinel://user:password@host:26379,host2:26379/service/db`; `rediss+sentinel://` is the same with TLS.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import redis.asyncio
import redis.asyncio.sentinel
import redis.connection
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.conf import jobs_settings
from jobs.runtime.per_process import per_process

Place = tuple[str, int]  # host and port, or the path of a socket and 0

TIMEOUT = 2.0  # seconds for one command; with the one retry, a Redis that hangs costs a caller 4 s
SENTINEL_TIMEOUT = 0.5  # seconds for one sentinel that hangs, before the next one is asked
CONNECTIONS = 50  # most at a time of one process; who comes when all are in use waits for one

SENTINEL = "+sentinel"  # what their schemes end with
REDIS_PORT, SENTINEL_PORT = 6379, 26379
FORMS = "redis://user:password@host:6379/0, unix:///path, or redis+sentinel://host:26379,host2:26379/service/0"

_read_url: Callable[[str], dict[str, Any]] = redis.connection.parse_url

# What a caller sees of a server that hangs, and of sentinels that hang or know of no master that is up.
HANGS = (
    TimeoutError,
    redis.TimeoutError,
    redis.sentinel.MasterNotFoundError,
    redis.asyncio.sentinel.MasterNotFoundError,
)


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL says: where the server is, or where its sentinels are and what they call it."""

    places: tuple[Place, ...]
    service: str = ""  # "" without sentinels
    options: dict[str, Any] = field(
        default_factory=dict
    )  # redis-py's for the server, if it is reached by sentinels
    sentinel_options: dict[str, Any] = field(default_factory=dict)
    password: str | None = field(default=None, repr=False)
    database: int = 0


def parse(url: str) -> Address:
    """Take a URL apart; raises `ValueError`, in which no part of the URL is repeated, for one that names no server."""
    try:
        return (
            _parse_sentinels(url)
            if url.partition("://")[0].endswith(SENTINEL)
            else _parse_server(url)
        )
    except ValueError as error:
        raise ValueError(
            "it is malformed; in a password, percent-encode what is neither letter nor digit."
        ) from error


def is_store_server(host: Any) -> bool:
    """Say whether a host of the channel layer, in any of its spellings, is the server that holds the jobs.

    Behind sentinels it is, if one of them is the same and the service too.
    """
    if isinstance(host, str):
        host = {"address": host}
    if isinstance(host, tuple | list):
        host = {"host": host[0], "port": host[1]}
    try:
        places = _places(host)
    except ValueError:
        return False  # the layer itself says so
    return host.get("master_name", "") == address().service and not set(places).isdisjoint(
        address().places
    )


@per_process(reset_on="JOBS")
def address() -> Address:
    """Return what `JOBS["REDIS_URL"]` says; raises `ValueError`."""
    return parse(jobs_settings().REDIS_URL)


def connect() -> "redis.Redis":
    """Return a client with a pool of its own for threads, that waits for a free connection."""
    options = _options(Retry)
    if address().service:
        return redis.Redis.from_pool(
            _sentinel_pool(_Pool, redis.sentinel.Sentinel, Retry, options)
        )
    return redis.Redis.from_pool(
        redis.BlockingConnectionPool.from_url(jobs_settings().REDIS_URL, **options)
    )


def connect_async(**options: Any) -> "redis.asyncio.Redis":
    """Return a client with a pool of its own for the running event loop, that waits for a free connection."""
    options = _options(AsyncRetry) | options
    if address().service:
        sentinels = _sentinel_pool(
            _AsyncPool, redis.asyncio.sentinel.Sentinel, AsyncRetry, options
        )
        return redis.asyncio.Redis.from_pool(sentinels)
    pool = redis.asyncio.BlockingConnectionPool.from_url(jobs_settings().REDIS_URL, **options)
    return redis.asyncio.Redis.from_pool(pool)


def connect_listener() -> "redis.asyncio.Redis":
    """Return a client to subscribe with: it waits for as long as nothing is published, and says when it is cut off."""
    return connect_async(
        decode_responses=False, socket_timeout=None, retry=AsyncRetry(NoBackoff(), 0)
    )


class Standby(NamedTuple):
    """What the sentinels' service is at this moment."""

    service: str
    place: str
    replicas: int  # that could take its place


def standby(client: "redis.Redis") -> Standby | None:
    """Say which server a client of `connect` reaches by way of sentinels; None without them. Raises `RedisError`."""
    if not address().service:
        return None
    pool: Any = client.connection_pool
    replication: Any = client.info("replication")
    return Standby(
        address().service,
        "{}:{}".format(*pool.get_master_address()),
        replication["connected_slaves"],
    )


class _Pool(redis.sentinel.SentinelConnectionPool, redis.BlockingConnectionPool):
    """Asks the sentinels for the master at each new connection."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        """Hang up; the idle connections alone when the master has changed, which redis-py 6 cannot do."""
        if inuse_connections:
            super().disconnect()
        else:
            for connection in filter(None, list(self.pool.queue)):
                connection.disconnect()


class _AsyncPool(
    redis.asyncio.sentinel.SentinelConnectionPool, redis.asyncio.BlockingConnectionPool
):
    """Does the same for an event loop."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Hang up, and with all connections those to the sentinels, which redis-py leaves open."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            for sentinel in self.sentinel_manager.sentinels:
                await sentinel.aclose()


def _options(retry: Any) -> dict[str, Any]:
    return {
        "decode_responses": True,
        "encoding_errors": "replace",
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "max_connections": CONNECTIONS,
        "timeout": TIMEOUT,  # for one of them to become free
        "retry": retry(NoBackoff(), 1),
    }


def _sentinel_pool(pool: Any, sentinel: Any, retry: Any, options: dict[str, Any]) -> Any:
    bounds = {"socket_timeout": SENTINEL_TIMEOUT, "socket_connect_timeout": SENTINEL_TIMEOUT}
    theirs = bounds | address().sentinel_options | {"retry": retry(NoBackoff(), 0)}
    sentinels = sentinel(address().places, sentinel_kwargs=theirs)
    return pool(address().service, sentinels, **options | address().options)


def _parse_server(url: str) -> Address:
    given = _read_url(url)
    place = (given["path"], 0) if "path" in given else _place(given.get("host"), given.get("port"))
    return Address((place,), password=given.get("password"), database=given.get("db", 0))


def _parse_sentinels(url: str) -> Address:
    """Sentinels are a list, which no parser of URLs knows; what belongs to their server is left to redis-py."""
    scheme, _, rest = url.partition("://")
    rest, mark, query = rest.partition("?")
    hosts, _, path = rest.partition("/")
    userinfo, at, hosts = hosts.rpartition("@")
    service, _, db = path.partition("/")
    if not service or (db and not db.isdecimal()):
        raise ValueError("there is no service, or its database is no number")
    options = _read_url(
        f"{scheme.removesuffix(SENTINEL)}://{userinfo}{at}server/{db}{mark}{query}"
    )
    secure = {"ssl": True} if options.pop("connection_class", None) else {}
    del options["host"]
    theirs = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    shared = secure | {name: value for name, value in options.items() if name.startswith("ssl_")}
    places = tuple(map(_sentinel, hosts.split(",")))
    database = options.get("db", 0)
    return Address(
        places,
        unquote(service),
        options | secure,
        theirs | shared,
        options.get("password"),
        database,
    )


def _sentinel(place: str) -> Place:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError("a sentinel has no host")
    return _place(parts.hostname, parts.port or SENTINEL_PORT)


def _places(host: dict[str, Any]) -> tuple[Place, ...]:
    """Return where a host of the channel layer is, or its sentinels are."""
    if "address" in host:
        return parse(host["address"]).places
    if "master_name" in host:
        return tuple(_place(name, port) for name, port in host.get("sentinels", ()))
    return (
        ((str(host["path"]), 0),)
        if "path" in host
        else (_place(host.get("host"), host.get("port")),)
    )


def _place(host: str | None, port: int | None) -> Place:
    return ("127.0.0.1" if host in (None, "localhost") else str(host)), int(port or REDIS_PORT)
