"""A project of somebody else's: without the example's layout, with the recipes of docs/frontend.md and a deaf task."""
