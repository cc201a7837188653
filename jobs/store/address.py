"""Reads `JOBS["REDIS_URL"]`: where the Redis that holds the jobs is.

The URL names the server (`redis://`, `rediss://`, `unix://`), or the sentinels that know which
server is the master: `redis+sentinel://user:password@host:26379,host2:26379/service/db`.
`rediss+sentinel://` is the same with TLS.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import redis.connection

from jobs.conf import jobs_settings
from jobs.runtime.per_process import per_process

Place = tuple[str, int]  # host and port, or the path of a socket and 0

SENTINEL = "+sentinel"  # the end of the scheme of a URL that names sentinels
REDIS_PORT, SENTINEL_PORT = 6379, 26379
FORMS = (
    "redis://user:password@host:6379/0, unix:///path, or "
    "redis+sentinel://host:26379,host2:26379/service/0"
)

_read_url: Callable[[str], dict[str, Any]] = redis.connection.parse_url


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, or where its sentinels are and what they call it."""

    places: tuple[Place, ...]
    service: str = ""  # "" without sentinels
    # redis-py's options for a server behind sentinels, and for the sentinels
    options: dict[str, Any] = field(default_factory=dict)
    sentinel_options: dict[str, Any] = field(default_factory=dict)
    password: str | None = field(default=None, repr=False)
    database: int = 0


@per_process(reset_on="JOBS")
def address() -> Address:
    """Return the address in `JOBS["REDIS_URL"]`. Raises `ValueError`."""
    return parse(jobs_settings().REDIS_URL)


def parse(url: str) -> Address:
    """Take a URL apart.

    Raises `ValueError` for a malformed URL. Its text repeats no part of the URL, because the URL
    may hold a password.
    """
    try:
        if url.partition("://")[0].endswith(SENTINEL):
            return _parse_sentinels(url)
        return _parse_server(url)
    except ValueError as error:
        raise ValueError(
            "it is malformed; in a password, percent-encode what is neither letter nor digit."
        ) from error


def is_store_server(host: Any) -> bool:
    """Return whether a host of the channel layer is the server that holds the jobs.

    `host` may have any of the forms that channels_redis takes. Behind sentinels it is the same
    server if the two share a sentinel and the service.
    """
    if isinstance(host, str):
        host = {"address": host}
    if isinstance(host, tuple | list):
        host = {"host": host[0], "port": host[1]}
    try:
        places = _places_of(host)
    except ValueError:
        return False  # the channel layer reports its own malformed host
    ours = address()
    return host.get("master_name", "") == ours.service and not set(places).isdisjoint(ours.places)


def _parse_server(url: str) -> Address:
    given = _read_url(url)
    place = (given["path"], 0) if "path" in given else _place(given.get("host"), given.get("port"))
    return Address((place,), password=given.get("password"), database=given.get("db", 0))


def _parse_sentinels(url: str) -> Address:
    """Parse the list of sentinels here, because no parser of URLs knows one.

    redis-py parses what the URL says about the server.
    """
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
    login = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    shared = secure | {name: value for name, value in options.items() if name.startswith("ssl_")}
    return Address(
        places=tuple(map(_sentinel, hosts.split(","))),
        service=unquote(service),
        options=options | secure,
        sentinel_options=login | shared,
        password=options.get("password"),
        database=options.get("db", 0),
    )


def _sentinel(place: str) -> Place:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError("a sentinel has no host")
    return _place(parts.hostname, parts.port or SENTINEL_PORT)


def _places_of(host: dict[str, Any]) -> tuple[Place, ...]:
    """Return where a host of the channel layer is, or where its sentinels are."""
    if "address" in host:
        return parse(host["address"]).places
    if "master_name" in host:
        return tuple(_place(name, port) for name, port in host.get("sentinels", ()))
    if "path" in host:
        return ((str(host["path"]), 0),)
    return (_place(host.get("host"), host.get("port")),)


def _place(host: str | None, port: int | None) -> Place:
    return ("127.0.0.1" if host in (None, "localhost") else str(host)), int(port or REDIS_PORT)
