"""Make the bundles of the front end: `python -m tests.front`."""

from . import BUNDLES, make_bundles

make_bundles(BUNDLES)
