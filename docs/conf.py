"""The documents as a small site: `python -m sphinx -W docs build/docs`; no network is needed."""

from importlib import metadata

from pygments.lexers.templates import HtmlDjangoLexer

project = "django-waitroom"
release = metadata.version("django-waitroom")
copyright = "the authors, under the MIT licence"  # noqa: A001 - Sphinx's name

extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["images"]
nitpicky = True

html_theme = "furo"
html_title = project
html_copy_source = False
html_show_sphinx = False


def setup(app):
    """Read our HTML as Django's templates, which most of it is."""
    app.add_lexer("html", HtmlDjangoLexer)
