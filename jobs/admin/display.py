"""How the admin shows a handler and an owner."""

SHOWN_OF_TOKEN = 6  # characters of a visitor's token, enough to tell visitors apart


def short_handler(handler_class: str) -> str:
    """Return the handler's app and class."""
    package, _dot, name = handler_class.rpartition(".handlers.")
    return f"{package.rpartition('.')[2]}.{name}" if package else handler_class


def shown_owner(owner: str) -> str:
    """Return an owner's name, without most of a visitor's token."""
    prefix = "visitor:"
    if not owner.startswith(prefix):
        return owner
    return owner[: len(prefix) + SHOWN_OF_TOKEN] + "…"
