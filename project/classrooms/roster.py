"""Read a roster: a CSV file in UTF-8, one student a line. Mistakes are reported, never mended."""

import csv
import io
from collections.abc import Iterator

from django.utils.translation import gettext as _

from .forms import StudentRow
from .models import Student

COLUMNS = ["first_name", "last_name", "born", "email"]
BATCH = 100  # rows that are checked between two reports of progress
MAX_SENTENCE = 200  # characters; a problem may quote what the file holds

Row = tuple[int, list[str]]  # the line, and its values


class Roster:
    """The students of a file and its problems: `check` fills `students` and `problems`."""

    def __init__(self, content: bytes):
        self.students: list[Student] = []
        self.problems: list[dict[str, int | str]] = []
        self._line_of_email: dict[str, int] = {}
        self._rows = self._below_header(self._split(self._decode(content)))

    def check(self) -> Iterator[tuple[int, int]]:
        """Check the rows. After each batch, yield how many are done and how many there are."""
        total = len(self._rows)
        for start in range(0, total, BATCH):
            batch = self._rows[start : start + BATCH]
            emails = {line: self._check_row(line, values) for line, values in batch}
            self._report_enrolled(emails)
            yield start + len(batch), total
        self.problems.sort(key=lambda problem: problem["line"])

    def _decode(self, content: bytes) -> str:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            self._report(
                line, _("The file is not in UTF-8. Save it as “CSV UTF-8”, and upload it again.")
            )
            return ""

    def _split(self, text: str) -> list[Row]:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows, line = [], 1
        try:
            for values in reader:
                if any(value.strip() for value in values):
                    rows.append((line, values))
                line = reader.line_num + 1
        except csv.Error:
            self._report(
                line, _("From here on the file cannot be read: check the quotation marks.")
            )
        return rows

    def _below_header(self, rows: list[Row]) -> list[Row]:
        if not rows:
            if not self.problems:
                self._report(1, _("The file is empty."))
            return []
        line, header = rows[0]
        if [name.strip().lower() for name in header] != COLUMNS:
            names = {"expected": ",".join(COLUMNS), "found": ",".join(header)}
            self._report(
                line, _("The header must be “%(expected)s”, but it is “%(found)s”.") % names
            )
            return []
        if len(rows) == 1 and not self.problems:
            self._report(line + 1, _("There is no student below the header."))
        return rows[1:]

    def _check_row(self, line: int, values: list[str]) -> str | None:
        """Keep the row's student or report a problem. Return the e-mail address, if any."""
        if len(values) != len(COLUMNS):
            counts = {"found": len(values), "expected": len(COLUMNS)}
            self._report(line, _("There are %(found)s values instead of %(expected)s.") % counts)
            return None
        row = StudentRow(dict(zip(COLUMNS, values, strict=True)))
        for texts in row.errors.values():
            for text in texts:
                self._report(line, text)
        email = row.cleaned_data.get("email")
        if email and self._line_of_email.setdefault(email, line) != line:
            self._report(
                line,
                _("The e-mail address is the same as in line %s.") % self._line_of_email[email],
            )
        elif row.is_valid():
            self.students.append(Student(**row.cleaned_data))
        return email

    def _report_enrolled(self, emails: dict[int, str | None]):
        enrolled = set(
            Student.objects.filter(email__in=filter(None, emails.values())).values_list(
                "email", flat=True
            )
        )
        for line, email in emails.items():
            if email in enrolled:
                self._report(
                    line, _("A student with the e-mail address %s is enrolled already.") % email
                )

    def _report(self, line: int, sentence: str):
        self.problems.append({"line": line, "text": sentence[:MAX_SENTENCE]})
