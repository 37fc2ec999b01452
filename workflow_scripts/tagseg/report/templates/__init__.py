"""Jinja2 templates of the report; they are part of the code digest of what imports this package.

All values are escaped; a template marks what is HTML already.
"""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape


def render(name: str, **values: object) -> str:
    """Return the template `name` filled with values."""
    return _environment().get_template(name).render(**values)


def prose(text: str) -> Markup:
    """Return text as HTML with its `code` and ``code`` marked."""
    return Markup(re.sub(r"(`{1,2})(.+?)\1", r"<code>\2</code>", str(escape(text))))


def duration(seconds: float) -> str:
    """Return seconds below a minute, else minutes and seconds, or hours and minutes."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"prose": prose, "duration": duration}
    return environment
