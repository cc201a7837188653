"""Rosters are read, and each mistake is reported with its line."""

import pytest

from project.classrooms.roster import Roster
from project.classrooms.samples import new_students, roster_csv, with_mistakes

HEADER = "first_name,last_name,born,email"
ZOE = "Zoë,Fletcher,2014-09-23,zoe@example.org"

pytestmark = pytest.mark.django_db


def read(*lines):
    """Return the checked roster of a file of these lines."""
    return read_bytes("\r\n".join(lines).encode())


def read_bytes(content):
    """Return the checked roster of a file."""
    roster = Roster(content)
    list(roster.check())
    return roster


def problems(roster):
    """Return the lines and sentences of a roster's problems."""
    return [(problem["line"], problem["text"]) for problem in roster.problems]


def test_a_valid_roster_gives_its_students():
    roster = read(HEADER, ZOE, " Kofi , O’Brien ,2013-02-11,Kofi@Example.org")
    assert roster.problems == []
    assert [student.name for student in roster.students] == ["Zoë Fletcher", "Kofi O’Brien"]
    assert roster.students[1].email == "kofi@example.org"
    assert roster.students[0].born.isoformat() == "2014-09-23"


def test_a_byte_order_mark_is_no_mistake():
    roster = read_bytes(f"\ufeff{HEADER}\n{ZOE}\n".encode())
    assert roster.problems == []
    assert len(roster.students) == 1


def test_blank_lines_are_skipped_and_counted():
    roster = read(HEADER, "", ",,,", ZOE, "Kofi,,2013-02-11,kofi@example.org", "")
    assert problems(roster) == [(5, "The last name is missing.")]


def test_line_breaks_in_quotes_do_not_shift_line_numbers():
    roster = read(
        HEADER,
        '"Ana, Maria","Silva\nReis",2014-09-23,ana@example.org',
        "Kofi,,2013-02-11,k@example.org",
    )
    assert roster.students[0].first_name == "Ana, Maria"
    assert problems(roster) == [(4, "The last name is missing.")]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (",Fletcher,2014-09-23,zoe@example.org", "The first name is missing."),
        ("  ,Fletcher,2014-09-23,zoe@example.org", "The first name is missing."),
        ("Zoë,,2014-09-23,zoe@example.org", "The last name is missing."),
        (
            f"{'Z' * 61},Fletcher,2014-09-23,zoe@example.org",
            "The first name is longer than 60 characters.",
        ),
        ("Z\0ë,Fletcher,2014-09-23,zoe@example.org", "Null characters are not allowed."),
        ("Zoë,Fletcher,,zoe@example.org", "The date of birth is missing."),
        ("Zoë,Fletcher,31/02/2014,zoe@example.org", "“31/02/2014” is not a date like 2014-09-23."),
        ("Zoë,Fletcher,2014-02-31,zoe@example.org", "“2014-02-31” is not a date like 2014-09-23."),
        (
            "Zoë,Fletcher,2131-05-01,zoe@example.org",
            "2131-05-01 cannot be a student’s date of birth.",
        ),
        (
            "Zoë,Fletcher,0014-05-01,zoe@example.org",
            "0014-05-01 cannot be a student’s date of birth.",
        ),
        ("Zoë,Fletcher,2014-09-23,", "The e-mail address is missing."),
        ("Zoë,Fletcher,2014-09-23,zoe at home", "“zoe at home” is not an e-mail address."),
        ("Zoë,Fletcher,2014-09-23,zoe@example.org,tall", "There are 5 values instead of 4."),
        ("Zoë,Fletcher", "There are 2 values instead of 4."),
        (
            'Zoë,"Fle"tcher,2014-09-23,zoe@example.org',
            "From here on the file cannot be read: check the quotation marks.",
        ),
        (
            'Zoë,"Fletcher,2014-09-23,zoe@example.org',
            "From here on the file cannot be read: check the quotation marks.",
        ),
    ],
)
def test_a_mistake_is_reported_with_its_line(row, sentence):
    roster = read(HEADER, "Kofi,O’Brien,2013-02-11,kofi@example.org", row)
    assert problems(roster) == [(3, sentence)]


def test_all_mistakes_of_a_line_are_reported():
    roster = read(HEADER, ",,2014-09-23,zoe")
    assert [line for line, _sentence in problems(roster)] == [2, 2, 2]


def test_the_second_of_two_equal_addresses_is_a_mistake():
    roster = read(HEADER, ZOE, "Zoe,F,2014-09-23,ZOE@example.org")
    assert problems(roster) == [(3, "The e-mail address is the same as in line 2.")]


def test_a_student_who_is_enrolled_already_is_a_mistake(students):
    roster = read(HEADER, ZOE, "Mei,Silva,2014-05-01,MEI@example.org")
    assert problems(roster) == [
        (3, "A student with the e-mail address mei@example.org is enrolled already.")
    ]


def test_another_encoding_is_reported_at_its_first_bad_line():
    roster = read_bytes(f"{HEADER}\nKofi,O,2013-02-11,k@example.org\n{ZOE}\n".encode("latin-1"))
    assert problems(roster) == [
        (3, "The file is not in UTF-8. Save it as “CSV UTF-8”, and upload it again.")
    ]


def test_utf_16_is_another_encoding():
    assert problems(read_bytes(f"{HEADER}\n{ZOE}\n".encode("utf-16")))[0][0] == 1


def test_a_wrong_header_is_reported_alone():
    roster = read("Vorname;Nachname", "nonsense")
    assert problems(roster) == [
        (1, "The header must be “first_name,last_name,born,email”, but it is “Vorname;Nachname”.")
    ]


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_an_empty_file_is_reported(content):
    assert problems(read_bytes(content.encode())) == [(1, "The file is empty.")]


def test_a_header_without_students_is_reported():
    assert problems(read(HEADER)) == [(2, "There is no student below the header.")]


def test_a_long_quote_in_a_problem_is_cut():
    roster = read(HEADER, f"Zoë,Fletcher,{'9' * 100_000},zoe@example.org")
    assert len(roster.problems[0]["text"]) == 200


def test_the_sample_file_is_valid():
    roster = read_bytes(roster_csv(new_students(3000, after=300)).encode())
    assert roster.problems == []
    assert len(roster.students) == 3000


def test_the_sample_with_mistakes_has_one_of_each_kind():
    roster = read_bytes(roster_csv(with_mistakes(new_students(400))).encode())
    assert [line for line, _sentence in problems(roster)] == [8, 20, 43, 79, 122, 201, 335]


def test_progress_counts_rows_to_the_last():
    roster = Roster(roster_csv(new_students(250)).encode())
    assert list(roster.check()) == [(100, 250), (200, 250), (250, 250)]
