"""Texts for people, as templates of Jinja: the report page and the model card."""

import math
from typing import Any


def render(name: str, **values: Any) -> str:
    """A template filled in; what is put into an HTML page is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("melodai"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.tests["finite"] = math.isfinite
    return environment.get_template(name).render(**values)
