"""The recipes of docs/frontend.md, as printed."""

import re
from pathlib import Path

from django.http import Http404, HttpResponse
from django.template import Context, Template

from jobs.access import viewer_of
from jobs.exceptions import JobNotFound

DOCS = (Path(__file__).parents[2] / "docs" / "frontend.md").read_text()
FETCH = re.search(r"```js\n(async function ended.*?)```", DOCS, re.DOTALL)[1]
VIEW = re.search(r"```python\n(def export_status.*?)```", DOCS, re.DOTALL)[1]
FRAGMENT = re.search(r"```html\n({% if job.is_ended.*?)```", DOCS, re.DOTALL)[1]


def render(request, name, context):
    """Render the fragment as printed."""
    return HttpResponse(Template(FRAGMENT).render(Context(context)))


_names = {
    "__name__": __name__,
    "viewer_of": viewer_of,
    "JobNotFound": JobNotFound,
    "Http404": Http404,
    "render": render,
}
exec(VIEW, _names)  # noqa: S102 - our own documentation
export_status = _names["export_status"]
