"""The app under a label of its own, because this project has another that is called `jobs`."""

from jobs.apps import JobsConfig


class WaitroomConfig(JobsConfig):
    """The waiting page."""

    label = "waitroom"
