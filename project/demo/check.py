"""Do the main job once without a person, over HTTP and a WebSocket, with real processes."""

import json
import re
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from .processes import ProcessError
from .visitor import PATIENCE, Visitor

USERNAME = "ada"
CLASSROOM = re.compile(r"^/classrooms/(\d+)/$")
GREETING = "It was so nice."


class CheckError(ProcessError):
    """A step of the check went wrong."""


class Check:
    """A teacher moves a classroom's students to another one. Each step returns what it found."""

    STEPS = (
        "log_in",
        "open_classroom",
        "post_transfer",
        "get_waiting_page",
        "connect_socket",
        "hear_ready",
        "call_back",
        "find_message",
        "find_students",
    )

    def __init__(self, base_url: str, say: Callable[[str], object]):
        self.base_url = base_url
        self.say = say
        self.open = ExitStack()
        self.visitor = self.open.enter_context(closing(Visitor(base_url)))

    def run(self) -> None:
        """Do all steps and print when each was done. Raise CheckError at the first that fails."""
        start = before = time.perf_counter()
        self.say("  at ms    took  step")
        try:
            for method in map(self.__getattribute__, self.STEPS):
                step = method.__doc__.removesuffix(".")
                finding = self._do(step, method)
                now = time.perf_counter()
                self.say(
                    f"{(now - start) * 1000:7.0f} {(now - before) * 1000:7.0f}  {step}: {finding}"
                )
                before = now
        finally:
            self.close()
        self.say(f"All {len(self.STEPS)} steps are done, in {(before - start) * 1000:.0f} ms.")

    def close(self) -> None:
        """Close what is open."""
        self.open.close()

    def log_in(self) -> str:
        """Log in."""
        self.visitor.log_in(USERNAME)
        return f"as {USERNAME}"

    def open_classroom(self) -> str:
        """Open a classroom."""
        mine = [match[1] for match in map(CLASSROOM.match, self.visitor.page.links) if match]
        for classroom in mine:
            self.visitor.visit(f"/classrooms/{classroom}/")
            form = self.visitor.form_to("/transfer/")
            target = next((pk for pk in form.choices["target"] if pk in mine), None)
            students = self.emails()
            if students and target:
                self.form, self.target, self.students = form, target, students
                return f"{self.visitor.address}, {len(students)} students"
        raise CheckError(
            f"{USERNAME} has no classroom with students and another one to move them to"
        )

    def post_transfer(self) -> str:
        """Post the transfer."""
        self.waiting_page = self.visitor.submit(self.form, target=self.target)
        return f"redirected to {self.waiting_page}"

    def get_waiting_page(self) -> str:
        """Get the waiting page."""
        self.visitor.visit(self.waiting_page)
        self.form = self.visitor.form_to("/ready/")
        return f"its form is sent to {self.form.action}"

    def connect_socket(self) -> str:
        """Connect the socket."""
        path = f"/ws{self.waiting_page}"
        self.socket = self.open.enter_context(
            connect(
                self.base_url.replace("http", "ws", 1) + path,
                origin=self.base_url,
                additional_headers={"Cookie": self.visitor.cookies},
                open_timeout=PATIENCE,
                proxy=None,
            )
        )
        return path

    def hear_ready(self) -> str:
        """Hear ready."""
        heard: list[str] = []
        while "ready" not in heard:
            frame = json.loads(self.socket.recv(timeout=PATIENCE))
            heard.append(frame["event"])
            if heard[-1] in {"failed", "cancelled", "error"}:
                raise CheckError(f"the socket said {frame}")
        return f"after {len(heard) - 1} other frames"

    def call_back(self) -> str:
        """Call back."""
        self.next_page = self.visitor.submit(self.form)
        return f"redirected to {self.next_page}"

    def find_message(self) -> str:
        """Find the message."""
        self.visitor.visit(self.next_page)
        if GREETING not in self.visitor.page.texts:
            raise CheckError(f"{self.next_page} does not say “{GREETING}”")
        return f"“{GREETING}”"

    def find_students(self) -> str:
        """Find the moved students."""
        left = self.emails()
        self.visitor.visit(f"/classrooms/{self.target}/")
        arrived = self.students & self.emails()
        if left or arrived != self.students:
            raise CheckError(
                f"{len(left)} have stayed, {len(arrived)} of {len(self.students)} have arrived"
            )
        return f"all {len(arrived)}"

    def emails(self) -> set[str]:
        """Return the e-mail addresses of the students on this page and the next ones."""
        found = {text for text in self.visitor.page.texts if "@" in text}
        following = next(
            (href for href, rel in self.visitor.page.links.items() if rel == "next"), None
        )
        if following:
            self.visitor.visit(following)
            found |= self.emails()
        return found

    def _do(self, step: str, method: Callable[[], str]) -> str:
        try:
            return method()
        except TimeoutError as error:
            raise CheckError(
                f"The check failed at “{step}”: no answer within {PATIENCE} seconds."
            ) from error
        except (ProcessError, httpx.HTTPError, WebSocketException, OSError) as error:
            raise CheckError(
                f"The check failed at “{step}”: {error or type(error).__name__}"
            ) from error
