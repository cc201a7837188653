"""The runnable project's settings, made strict. Static files are in STRICT_STATIC_ROOT."""

import os

from project.settings import *  # noqa: F403
from project.settings import BASE_DIR, MIDDLEWARE, TEMPLATES

DEBUG = False
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = False
ALLOWED_HOSTS = ["127.0.0.1"]
FORCE_SCRIPT_NAME = "/shop"
STATIC_ROOT = os.environ["STRICT_STATIC_ROOT"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
MIDDLEWARE = ["tests.system.projects.strict.middleware.NonceMiddleware", *MIDDLEWARE]
TEMPLATES = [{**TEMPLATES[0], "DIRS": [BASE_DIR / "frontend" / "templates"]}]
ROOT_URLCONF = "tests.system.projects.strict.urls"
