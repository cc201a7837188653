"""Made-up students for the sample data and the sample files, the same on every machine."""

import csv
import io
from datetime import date, timedelta

from django.utils.text import slugify

from .roster import COLUMNS

GIVEN = """
    Amelia Noah Olivia Kofi Isla Yusuf Zoë Oliver Priya Arthur Leila Mateo Freya Hamza Ivy Tomasz
    Aisha Finn Chloé Dylan Mei Jakub Nia Samuel Lucía Rhys Zainab Theo Ingrid Ravi Orla Elijah
    Sofia Callum Amara Hugo Hana Idris Matilda Kwame Elif Rowan Anaïs Jonah Marta Caleb Thandiwe
"""
FAMILY = """
    Okafor Bennett Nguyen Hughes Patel O’Brien Kowalska Mensah Clarke Silva Ahmed Fletcher Rossi
    Campbell Tanaka Novák Walsh Haddad Morgan Jiménez Osei Barker Lindqvist Khan Doyle Ferreira
    Shaw Petrov Adeyemi Griffiths Müller Chowdhury Reid Santos Yılmaz Holloway Dubois Mwangi
    Armstrong Iyer Keane Demir Whitfield
"""
FIRST_NAMES, LAST_NAMES = GIVEN.split(), FAMILY.split()
FIRST_BIRTHDAY = date(2012, 9, 1)
BIRTHDAYS = 6 * 365  # days from the oldest student to the youngest


def new_students(count: int, after: int = 0) -> list[list[str]]:
    """Return rows of a roster, numbered in their e-mail addresses from `after` + 1."""
    return [student_row(number) for number in range(after + 1, after + count + 1)]


def student_row(number: int) -> list[str]:
    """Return one student, who is always the same for the same number."""
    first = FIRST_NAMES[number * 5 % len(FIRST_NAMES)]
    last = LAST_NAMES[number * 7 % len(LAST_NAMES)]
    born = FIRST_BIRTHDAY + timedelta(days=number * 613 % BIRTHDAYS)
    return [
        first,
        last,
        born.isoformat(),
        f"{slugify(first)}.{slugify(last)}.{number}@example.org",
    ]


def with_mistakes(rows: list[list[str]]) -> list[list[str]]:
    """Return a few hundred rows with one mistake of each kind that an import reports by line."""
    rows = [list(row) for row in rows]
    rows[6][0] = ""
    rows[18][2] = "31/02/2014"
    rows[41][2] = "2131-05-01"
    rows[77][3] = "not an address"
    rows[120][3] = rows[3][3]
    rows[199].append("surplus")
    rows[333] = rows[333][:2]
    return rows


def roster_csv(rows: list[list[str]]) -> str:
    """Return the rows as the text of a CSV file, below the header that an import expects."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, *rows])
    return text.getvalue()
