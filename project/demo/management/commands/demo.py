"""`manage.py demo`: run the whole project until Ctrl-C, or try it once with `--check`."""

import os
import signal
import sys
from contextlib import suppress

from django.core.management.base import BaseCommand, CommandError

from project.demo.check import Check
from project.demo.private import PrivateStack
from project.demo.processes import ProcessError
from project.demo.stack import Stack, without_password
from project.demo.supervisor import Supervisor, running

LOOPBACK = {"127.0.0.1", "localhost"}
CHECK_PACE = 0.005  # seconds per student: slow enough to show progress, and still quick


def port_number(text):
    """Return a port, or raise ValueError."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def welcome(stack):
    """Return a text that says where the project runs and what to try."""
    its_redis = "" if stack.redis is None else f"REDIS_URL={stack.redis_url} "
    whose = "embedded, gone at the end" if stack.redis else "yours"
    lines = [
        f"Open   {stack.base_url}/",
        "       Log in as ada, grace or head (who sees the admin); the password is waitroom.",
        "       Open a classroom and move its students to another one, or import a roster.",
        f"Redis  {without_password(stack.redis_url)} ({whose})",
        f"Also   {its_redis}{sys.executable} manage.py runserver 8001  (or another worker)",
        "Stop   Ctrl-C",
    ]
    if stack.host not in LOOPBACK:
        lines.append(
            "Note   Others can reach this address: "
            "DEBUG and the sample passwords are for people you trust."
        )
    return "\n" + "".join(f"  {line}\n" for line in lines)


class Command(BaseCommand):
    """Run Redis, a worker and a web server as children that end with this command."""

    help = (
        "Run the whole project here: Redis (REDIS_URL, or an embedded one), "
        "database, worker and web server."
    )

    requires_system_checks = []  # done in `handle`: Django 6 would connect to the database first
    is_ready = False

    def add_arguments(self, parser):
        parser.add_argument(
            "--host", default="127.0.0.1", help="address to serve on (default: %(default)s)"
        )
        parser.add_argument(
            "--port",
            default=8000,
            type=port_number,
            help="port to serve on; 0: any free one (default: %(default)s)",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="do the main job once, on a Redis, a database and a port of its own, "
            "and print a timeline",
        )

    def handle(self, *args, host, port, check, **options):
        with suppress(AttributeError):
            # A terminal may not be able to show every student's name.
            sys.stdout.reconfigure(errors="replace")
        self.check(databases=[])
        try:
            if check:
                self.check_once()
            else:
                self.run_until_stopped(host, port)
        except (ProcessError, OSError) as error:
            raise CommandError(str(error)) from error

    def check_once(self):
        """Do the main job. If it is stopped before its end, it has failed."""
        stack = PrivateStack(pace=CHECK_PACE)
        try:
            with running(stack, self.say):
                Check(stack.base_url, self.say).run()
        except KeyboardInterrupt as stop:
            raise CommandError("The check was stopped.") from stop

    def run_until_stopped(self, host, port):
        """Run the stack until it is stopped, which is its normal end."""
        env = {} if host in LOOPBACK or os.environ.get("ALLOWED_HOSTS") else {"ALLOWED_HOSTS": "*"}
        stack = Stack(host, port, os.environ.get("REDIS_URL"), env, on_line=self.relay)
        self.say("Starting Redis, database, worker and server ...")
        try:
            with running(stack, self.say):
                self.is_ready = True
                self.say(welcome(stack))
                Supervisor(stack, self.say).watch()
        except KeyboardInterrupt:
            self.say("Stopped.")

    def relay(self, child, line):
        """Print what a child prints after the start. Earlier, errors hold its last line."""
        if self.is_ready:
            self.say(f"{child.name:>6} | {line}")

    def say(self, text):
        """Print the text, or stop if nobody reads it any more (`demo | head`)."""
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except BrokenPipeError:
            # The recipe of Python's signal module
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            os.kill(os.getpid(), signal.SIGTERM)
