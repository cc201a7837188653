"""Read code blocks, files and commands from our documents, as they are printed.

A block whose first line is a comment with a path is a file. With "(add)" after the path, it is
added to the end of that file. A block of commands whose first line is a comment about a terminal
runs in that terminal until the reader stops it.
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
        """The path of the block's file, or ""."""
        found = FILE.match(self.text)
        return found[1] if found else ""

    @property
    def is_addition(self) -> bool:
        """Whether the block is added to the end of an existing file."""
        found = FILE.match(self.text)
        return bool(found and found[2])

    @property
    def is_terminal(self) -> bool:
        """Whether the block runs in a terminal of its own."""
        return bool(TERMINAL.match(self.text))

    def write(self, folder: Path) -> None:
        """Write the file below a folder, or add to it."""
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
    """Return the blocks that are files."""
    return [block for block in blocks(document) if block.file]
