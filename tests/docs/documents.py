"""What stands in our documents: code blocks, files and commands, as they are printed.

A block whose first line is a comment with a path is a file (with "(add)": what is to be added to its end); a block of
commands whose first line is a comment about a terminal runs there until the reader stops it.
"""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"\A(?:# |<!-- )(\S+\.(?:py|html))( \(add\))?[^\n]*\n")
TERMINAL = re.compile(r"\A# a \w+ terminal\n")


class Block(NamedTuple):
    language: str
    text: str

    @property
    def file(self) -> str:
        """The path of the file that it is, or ""."""
        found = FILE.match(self.text)
        return found[1] if found else ""

    @property
    def is_addition(self) -> bool:
        """Whether it goes to the end of a file that is there."""
        found = FILE.match(self.text)
        return bool(found and found[2])

    @property
    def is_terminal(self) -> bool:
        """Whether it is for a terminal of its own."""
        return bool(TERMINAL.match(self.text))

    def write(self, folder: Path) -> None:
        """Write the file, or add to it, below a folder."""
        path = folder / self.file
        path.write_text((path.read_text() if self.is_addition else "") + self.text)


def documents() -> list[Path]:
    """Return all documents that people read."""
    return [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(document: str, language: str = "") -> list[Block]:
    """Return the code blocks of a document, or of one of its sections ("docs/x.md#Heading")."""
    name, _, heading = document.partition("#")
    text = (ROOT / name).read_text()
    if heading:
        text = re.search(
            rf"^(#+) {re.escape(heading)}\n(.*?)(?=^\1 |\Z)", text, re.MULTILINE | re.DOTALL
        )[2]
    found = [Block(*match.groups()) for match in FENCE.finditer(text)]
    return [block for block in found if language in ("", block.language)]


def files(document: str) -> list[Block]:
    """Return those blocks that are files."""
    return [block for block in blocks(document) if block.file]
