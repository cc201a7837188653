"""Threads that use the store for the first time at the same moment: the heart and the tasks of a pool of threads."""

from jobs import link, store

from .factories import at_once, create_job


def test_threads_that_use_the_store_for_the_first_time_at_once_share_one_client():
    job = create_job()
    for _ in range(30):
        link._forget()
        outcomes = at_once([lambda: store.read(job.id)] * 8)
        assert {outcome.record.version for outcome in outcomes} == {job.version}
        assert len(set(at_once([link.client] * 8))) == 1
