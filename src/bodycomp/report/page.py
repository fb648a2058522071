"""Self-contained HTML pages: they open from disk, without network and without a server."""

from __future__ import annotations

import base64
import hashlib
import io
import json
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
"""WebP quality at which CT noise is kept well enough to assess a segmentation."""


def write_page(path: Path, template: str, context: Mapping[str, Any]) -> None:
    """Write one HTML page of a template beside this module; it appears whole or not at all.

    Iterators in the context are gone through while the page is written, so that its parts need not
    be in memory together. Text of the context is escaped, ``Markup`` is not.
    """
    pieces = _environment().get_template(template).generate(version=__version__, **context)
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(pieces)


def render_page(source: str, context: Mapping[str, Any]) -> str:
    """Return the page that a template's text makes; it may include those beside this module."""
    return _environment().from_string(source).render(version=__version__, **context)


def inline(*templates: str) -> Markup:
    """Return style sheets or scripts, one after the other, as the content of one element."""
    environment = _environment()
    parts = (environment.get_template(name).render(tissues=()) for name in templates)
    return Markup("\n".join(parts))  # noqa: S704 - they are files of this package


def json_block(value: Any) -> Markup:
    r"""Return JSON that stays inside a ``script`` element, whatever text it holds.

    >>> json_block("</script>")
    Markup('"\\u003c/script>"')
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    # "<!--" and "</script" alone end or change the element (HTML, restrictions for contents of
    # script elements); some tools take line and paragraph separators for ends of lines.
    for letter in "<\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704


def source_hash(content: str) -> str:
    """Return the Content Security Policy source by which an inline element is allowed."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("bodycomp.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def photo_uri(gray: NDArray[np.uint8]) -> Markup:
    """Return a (row, column) 8-bit picture as a data URI for ``src``."""
    stream = io.BytesIO()
    Image.fromarray(gray).save(stream, "WEBP", quality=PHOTO_QUALITY, method=4)
    return _data_uri("image/webp", stream.getvalue())


def picture_uri(path: Path) -> Markup:
    """Return a picture in colour as a data URI, smaller than its PNG."""
    stream = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(stream, "WEBP", quality=PHOTO_QUALITY, method=4)
    return _data_uri("image/webp", stream.getvalue())


def stencil_uri(inside: NDArray[np.bool_], color: tuple[int, int, int]) -> Markup:
    """Return a (row, column) mask as a data URI: the colour inside, transparent outside."""
    picture = Image.fromarray(inside.astype(np.uint8), mode="P")
    picture.putpalette([0, 0, 0, *color])
    stream = io.BytesIO()
    picture.save(stream, "PNG", bits=1, transparency=0, optimize=True)
    return _data_uri("image/png", stream.getvalue())


def _data_uri(kind: str, data: bytes) -> Markup:
    # Base64 holds no character that HTML could misread.
    return Markup(f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}")  # noqa: S704
