"""`manage.py jobs_doctor`: check each step on a job's way from a view to its page."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.doctor.public_address import origin_of
from jobs.doctor.walk import take_steps


class Command(BaseCommand):
    """Checks the running system, from the settings to the socket. Changes nothing."""

    help = (
        "Check each step on a job's way through the running system. "
        "Exit 0 if all is well, else 1, naming the steps that are wrong."
    )
    requires_system_checks = ()  # they are its first step

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the public address."""
        parser.add_argument(
            "--url",
            type=_address,
            help="the public address; the socket and the static files are tried there",
        )

    def handle(self, *args: Any, url: str | None, **options: Any) -> None:
        """Print one line for each step."""
        wrong = []
        for finding in take_steps(url or ""):
            mark = self.style.SUCCESS("ok   ") if finding.is_ok else self.style.ERROR("wrong")
            self.stdout.write(f"{mark} {finding.step}: {finding.text}")
            if not finding.is_ok:
                wrong.append(finding.step)
        if not url:
            self.stdout.write("left  socket: not tried; give the public address with --url")
        if wrong:
            raise CommandError(f"Wrong: {', '.join(wrong)}.")


def _address(text: str) -> str:
    try:
        return origin_of(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
