"""Self-contained HTML pages: they open from disk, without network and without a server."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from bodycomp import __version__
from bodycomp.storage import atomic_file

PHOTO_QUALITY: Final = 80
"""WebP quality at which CT noise is kept well enough to judge an outline."""


def write_page(path: Path, template: str, context: Mapping[str, Any]) -> None:
    """Write one HTML page; it appears whole or not at all.

    Args:
        path: The file.
        template: Name of a template beside this module.
        context: What it shows; text is escaped, ``Markup`` is not.
    """
    environment = Environment(
        loader=PackageLoader("bodycomp.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(template).render(version=__version__, **context)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def photo_uri(grey: NDArray[np.uint8]) -> Markup:
    """Return a (row, column) 8-bit picture as a data URI for ``src``."""
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "WEBP", quality=PHOTO_QUALITY, method=4)
    return _data_uri("image/webp", stream.getvalue())


def stencil_uri(inside: NDArray[np.bool_], colour: tuple[int, int, int]) -> Markup:
    """Return a (row, column) mask as a data URI: the colour inside, transparent outside."""
    picture = Image.fromarray(inside.astype(np.uint8), mode="P")
    picture.putpalette([0, 0, 0, *colour])
    stream = io.BytesIO()
    picture.save(stream, "PNG", bits=1, transparency=0, optimize=True)
    return _data_uri("image/png", stream.getvalue())


def _data_uri(kind: str, data: bytes) -> Markup:
    # Base64 holds no character that HTML could misread.
    return Markup(f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}")  # noqa: S704
