"""Another project: not the example's layout, the recipes of docs/frontend.md, and a deaf task."""
