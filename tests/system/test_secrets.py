"""What real processes print holds no ticket, no cookie and nobody's data (SECURITY.md)."""

import json
import re

from project.demo.check import Check


class Nosy(Check):
    """Does the main job, and keeps what should stay secret on the way."""

    def get_waiting_page(self):
        """Get the waiting page."""
        done = super().get_waiting_page()
        page = self.visitor.client.get(self.waiting_page).text
        self.ticket = re.search(r'data-ticket="([^"]+)"', page)[1]
        return done

    def hear_ready(self):
        """Hear ready, and subscribe by the ticket as well."""
        job_id = self.waiting_page.split("/")[2]
        self.socket.send(json.dumps({"action": "subscribe", "job": job_id, "ticket": self.ticket}))
        return super().hear_ready()

    def find_students(self):
        """Find the moved students."""
        self.secrets = {
            self.ticket,
            self.form.fields["csrfmiddlewaretoken"],
            *self.visitor.client.cookies.values(),
        }
        return super().find_students()


def test_no_process_prints_a_ticket_a_cookie_or_a_student(own_stack):
    nosy = Nosy(own_stack.base_url, lambda line: None)
    nosy.run()
    printed = "\n".join(own_stack.printed)
    assert (
        nosy.waiting_page in printed and "transfer_students" in printed
    )  # the servers do say what they do
    assert len(nosy.secrets) >= 4 and len(nosy.students) > 10
    assert [secret for secret in [*nosy.secrets, *nosy.students] if secret in printed] == []
