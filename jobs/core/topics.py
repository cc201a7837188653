"""The topics on which a job's events are sent."""


def job_topic(job_id: str) -> str:
    """Name the topic of one job."""
    return f"job:{job_id}"


def owner_topic(owner: str) -> str:
    """Name the topic of all jobs of one owner."""
    return f"owner:{owner}"


def tag_topic(tag: str) -> str:
    """Name the topic of all jobs that carry a tag."""
    return f"tag:{tag}"


def topics_of(job_id: str, owner: str, tags: tuple[str, ...]) -> list[str]:
    """Return every topic on which a job's events are sent."""
    owners = [owner_topic(owner)] if owner else []
    return [job_topic(job_id), *owners, *map(tag_topic, tags)]
