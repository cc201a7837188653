"""What the tests of system checks ask of messages."""


def ids(messages):
    return [message.id for message in messages]


def of_jobs(messages):
    """Return the messages of our app alone."""
    return [message for message in messages if message.id.startswith("jobs.")]
