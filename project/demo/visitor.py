"""A person with a browser without scripts: opens pages, sends forms, keeps cookies."""

from urllib.parse import urljoin, urlsplit

import httpx

from .page import Form, Page
from .processes import ProcessError

PATIENCE = 30  # seconds for an answer
PASSWORD = "waitroom"  # noqa: S105 - of the users that sample_data makes  # nosec B105


class VisitError(ProcessError):
    """A page was not what it should be."""


class Visitor:
    """A person who visits pages: the current one is `page`, at `address`."""

    def __init__(self, base_url: str):
        self.client = httpx.Client(base_url=base_url, timeout=PATIENCE, trust_env=False)
        self.address = "/"
        self.page = Page("")

    def close(self) -> None:
        self.client.close()

    @property
    def cookies(self) -> str:
        """Return the Cookie header that a WebSocket needs too."""
        return "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())

    def visit(self, address: str) -> None:
        """Open a page, following its redirects."""
        answer = self.client.get(address, follow_redirects=True)
        if answer.status_code != 200:
            raise VisitError(f"GET {address} was answered with {answer.status_code}")
        self.address = answer.url.path
        self.page = Page(answer.text)

    def form_to(self, ending: str) -> Form:
        """Return the form of this page whose action has this ending."""
        form = next((form for form in self.page.forms if form.action.endswith(ending)), None)
        if form is None:
            raise VisitError(f"{self.address} has no form that is sent to …{ending}")
        return form

    def submit(self, form: Form, **fields: str) -> str:
        """Send a form of this page, and return the path that the answer redirects to."""
        target = urljoin(self.address, form.action)
        answer = self.client.post(target, data={**form.fields, **fields})
        if not answer.is_redirect:
            raise VisitError(
                f"POST {target} was answered with {answer.status_code}, not with a redirect"
            )
        return urlsplit(answer.headers["Location"]).path

    def log_in(self, username: str) -> None:
        """Log in as one of the sample users."""
        self.visit("/accounts/login/")
        self.visit(self.submit(self.page.forms[0], username=username, password=PASSWORD))
        if "sessionid" not in self.client.cookies:
            raise VisitError(f"{username} was not logged in")
