"""The names of a project's keys and groups."""

from itertools import product

import pytest
from channels.layers import BaseChannelLayer
from django.test import override_settings

from jobs.push import groups
from jobs.store import keys
from jobs.store.keys import ALLOWED_PREFIX


def all_names():
    """Return one name of each kind."""
    names = [groups.group_of(topic, 1) for topic in ("job:1", "owner:user:7", "tag:post")]
    return [keys.job_key("1"), keys.index_key("all"), *names, groups.everybody()]


def test_the_default_names_are_the_documented_ones():
    assert all_names() == [
        "jobs:{1}",
        "jobs:index:all",
        "jobs.0",
        "jobs.owner.0",
        "jobs.tag.0",
        "jobs.all",
    ]


def test_h20_the_names_contain_the_prefix_and_the_database(settings):
    settings.JOBS = {"PREFIX": "shop", "REDIS_URL": "redis+sentinel://a/main/3"}
    groups = ["shop.3.0", "shop.3.owner.0", "shop.3.tag.0", "shop.3.all"]
    assert all_names() == ["shop:{1}", "shop:index:all", *groups]


def groups_of(prefix, database):
    """Return the names of all groups of a project."""
    with override_settings(
        JOBS={"PREFIX": prefix, "REDIS_URL": f"unix:///redis.sock?db={database}"}
    ):
        topics = [f"{kind}:{number}" for kind in ("job", "owner", "tag") for number in range(50)]
        return {groups.everybody(), *(groups.group_of(topic, 4) for topic in topics)}


def test_h20_no_two_projects_have_a_group_in_common():
    projects = product(["jobs", "jobs-1", "tag", "owner", "all", "1"], [0, 1, 2, 11])
    groups = [groups_of(*project) for project in projects]
    assert {len(names) for names in groups} == {13}
    assert len(set().union(*groups)) == 13 * len(groups)


@pytest.mark.parametrize("prefix", ["shop", "My-Shop_2", "9", "x" * 50])
def test_channels_accepts_the_names_of_every_allowed_prefix(settings, prefix):
    assert ALLOWED_PREFIX.fullmatch(prefix)
    settings.JOBS = {"PREFIX": prefix, "REDIS_URL": "redis://a/999999999"}
    for name in all_names()[2:]:
        assert BaseChannelLayer().require_valid_group_name(name)
