"""Somebody who waits: starts jobs by a view, reads the JSON route, presses the buttons."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from websockets.sync.client import ClientConnection, connect

from .waiting import until

ANSWER_TIMEOUT = 30  # seconds for an answer
JSON = {"Accept": "application/json"}
ENDED = {"complete", "failed", "cancelled", "expired", "lost"}
ENDS = ENDED - {"complete"} | {"ready"}


class Person:
    """A browser's session, without the browser."""

    def __init__(self, base_url: str, client: httpx.Client | None = None):
        self.client = client or httpx.Client(
            base_url=base_url, timeout=ANSWER_TIMEOUT, trust_env=False
        )

    def close(self) -> None:
        self.client.close()

    def start(self, task: str, options: dict | None = None, **kwargs: object) -> str:
        """Start a task by a view; return the job's id from the redirect to its waiting page."""
        answer = self.try_to_start(task, options, **kwargs)
        assert answer.status_code == 302, answer.text[:300]
        return answer.headers["Location"].rstrip("/").rpartition("/")[2]

    def try_to_start(
        self, task: str, options: dict | None = None, **kwargs: object
    ) -> httpx.Response:
        """Return what the view answers."""
        body = json.dumps(
            {"kwargs": kwargs, "options": options or {}}
        )  # in ASCII, lone surrogates and all
        return self.client.post(
            f"/faults/{task}/", content=body, headers={"Content-Type": "application/json"}
        )

    def look(self, job_id: str) -> dict:
        """Return the job as its page would see it."""
        answer = self.client.get(f"/jobs/{job_id}/", headers=JSON)
        assert answer.status_code in (200, 202), f"{answer.status_code}: {answer.text[:300]}"
        return answer.json()["job"]

    def await_state(self, job_id: str, state: str, seconds: float = 10) -> dict:
        """Look until the job is in this state; that it ends in another is an error at once."""

        def look() -> dict | None:
            job = self.look(job_id)
            assert job["state"] in {state} | {job["state"]} - ENDED, (
                f"{job['state']}: {job['error']}"
            )
            return job if job["state"] == state else None

        return until(look, seconds)

    def press(self, button: str, job_id: str, **fields: str) -> httpx.Response:
        """Send the form of the waiting page: `ready` or `cancel`."""
        self.client.get("/accounts/login/")  # a page that gives anybody a token
        token = self.client.cookies.get("csrftoken", "")
        return self.client.post(
            f"/jobs/{job_id}/{button}/", data=fields, headers=JSON | {"X-CSRFToken": token}
        )

    @contextmanager
    def list_page(self) -> Iterator["Listener"]:
        """Open the list of one's own jobs, and listen to it inside the block."""
        with self.socket("/ws/jobs/") as listener:
            listener.socket.send(json.dumps({"action": "subscribe", "mine": True}))
            yield listener

    @contextmanager
    def waiting_page(self, job_id: str) -> Iterator["Listener"]:
        """Open the waiting page's socket."""
        with self.socket(f"/ws/jobs/{job_id}/") as listener:
            yield listener

    @contextmanager
    def socket(self, path: str) -> Iterator["Listener"]:
        """Open a socket with this session, from this host."""
        base_url = str(self.client.base_url).rstrip("/")
        cookies = "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())
        address = base_url.replace("http", "ws", 1) + path
        with connect(
            address, origin=base_url, additional_headers={"Cookie": cookies}, proxy=None
        ) as socket:
            yield Listener(socket)


class Listener:
    """A page's ear: keeps every frame that it hears."""

    def __init__(self, socket: ClientConnection):
        self.socket = socket
        self.frames: list[dict] = []

    def hear(self, event: str, seconds: float = 10) -> dict:
        """Listen until an event of this name comes, and return its frame."""
        while (frame := self.listen(seconds))["event"] != event:
            pass
        return frame

    def hear_the_end(self, seconds: float = 10) -> dict:
        """Listen until the job has ended in some way, and return that frame."""
        while (frame := self.listen(seconds))["event"] not in ENDS:
            pass
        return frame

    def listen(self, seconds: float = 10) -> dict:
        """Return the next frame."""
        frame = json.loads(self.socket.recv(timeout=seconds))
        self.frames.append(frame)
        assert frame["event"] != "error", frame
        return frame
