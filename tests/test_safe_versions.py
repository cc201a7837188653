"""No part has a known hole: the versions of SECURITY.md are installed and required."""

import re
import tomllib
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.docs.documents import ROOT

ROWS = re.findall(r"^\| (`?)([\w-]+)\1(?: ([\d.]+)| \([\w-]+\))? \| ([\d., ]+) \|",
                  (ROOT / "SECURITY.md").read_text(), re.MULTILINE)  # fmt: skip
PACKAGES = [(name, series, Version(least)) for quoted, name, series, least in ROWS if quoted]
SERVERS = {
    name: [Version(least) for least in leasts.split(",")]
    for quoted, name, _series, leasts in ROWS
    if not quoted
}
REQUIRED = {
    required.name: required
    for required in map(
        Requirement,
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"],
    )
}


def is_of_series(name, series):
    """Return whether the installed package is of this series. Another series has its own row."""
    return not series or Version(version(name)).release[:2] == Version(series).release


@pytest.mark.parametrize(
    ("name", "least"),
    [(name, least) for name, series, least in PACKAGES if is_of_series(name, series)],
    ids=str,
)
def test_no_installed_package_has_a_known_hole(name, least):
    assert Version(version(name)) >= least


@pytest.mark.parametrize(
    ("name", "least"),
    [(name, least) for name, series, least in PACKAGES if not series and name in REQUIRED],
    ids=str,
)
def test_the_wheel_allows_no_version_with_a_known_hole(name, least):
    demanded = [part for part in REQUIRED[name].specifier if part.operator == ">="]
    assert min(Version(part.version) for part in demanded) >= least


def test_the_embedded_server_has_no_known_hole(redis_client):
    info = redis_client.info("server")
    kind = "Valkey" if "valkey_version" in info else "Redis"
    assert is_safe(Version(info.get("valkey_version") or info["redis_version"]), SERVERS[kind])


@pytest.mark.parametrize(
    ("text", "safe"),
    [("7.2.10", False), ("7.2.11", True), ("8.0.5", False), ("8.1.3", False), ("9.0.0", True)],
)
def test_a_server_is_measured_by_its_own_series(text, safe):
    assert is_safe(Version(text), SERVERS["Valkey"]) == safe


def is_safe(installed, leasts):
    """Return whether a version is safe in its series, or belongs to a newer series."""
    own = [least for least in leasts if least.release[:2] == installed.release[:2]]
    return installed >= own[0] if own else installed > max(leasts)


def test_the_table_of_versions_is_found():
    assert {"Django", "daphne", "redis"} <= {name for name, _series, _least in PACKAGES}
    assert set(SERVERS) == {"Valkey", "Redis"}
