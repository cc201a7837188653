"""Read an HTML page as a person does: links, forms and texts."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Form:
    """A form: its action, its values, and the options of its selects."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)


class Page(HTMLParser):
    """The links (by address: their `rel`), forms and texts of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.links: dict[str, str] = {}
        self.forms: list[Form] = []
        self.texts: list[str] = []
        self._select = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links[given.get("href", "")] = given.get("rel", "")
        elif tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif self.forms:
            self._handle_control(tag, given)

    def handle_data(self, data):
        if text := data.strip():
            self.texts.append(text)

    def _handle_control(self, tag, given):
        form = self.forms[-1]
        if tag == "input" and given.get("name"):
            form.fields[given["name"]] = given.get("value", "")
        elif tag == "select":
            self._select = given.get("name", "")
        elif tag == "option" and given.get("value"):
            form.choices.setdefault(self._select, []).append(given["value"])
