# mysite/settings.py: what differs from one of everything
import os

import dj_database_url

DEBUG = False
SECRET_KEY = os.environ[
    "SECRET_KEY"
]  # the same in every process: tickets and sessions are signed with it
ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")
SECURE_PROXY_SSL_HEADER = (
    "HTTP_X_FORWARDED_PROTO",
    "https",
)  # nginx overwrites what a client says
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
STATIC_ROOT = "/srv/mysite/static"  # manage.py collectstatic; nginx serves it

DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}

JOBS = {"REDIS_URL": os.environ["REDIS_URL"]}  # the sentinels, and what they call the server
SENTINELS = {
    "sentinels": [("127.0.0.1", 26379), ("127.0.0.1", 26380), ("127.0.0.1", 26381)],
    "master_name": "waitroom",
    "socket_connect_timeout": 2,
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [SENTINELS]},
    },
}

CELERY_BROKER_URL = os.environ["CELERY_BROKER_URL"]
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "confirm_publish": True,  # a message counts as sent when RabbitMQ has it
    "read_timeout": 2,  # seconds; without it a broker that hangs would hold views up for ever
    "write_timeout": 2,
}
CELERY_BROKER_CONNECTION_TIMEOUT = 2  # seconds
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0}
CELERY_TASK_ACKS_LATE = True  # a worker that dies has its tasks run again, by another
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
