"""Results as HTML for notebooks: pictures of the measured slices, and their numbers."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from PIL import Image

from bodycomp.anatomy import ABDOMINAL_TISSUES, Tissue
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import Volume
from bodycomp.report.overlay import blended
from bodycomp.results import LevelResult, SeriesResult
from bodycomp.scan import Scan
from bodycomp.tables import Cell

_WIDTH_PX: Final = 256
_PREVIEWS: Final = 3


def result_html(scan: Scan, result: SeriesResult) -> str:
    """Return every level with its picture, areas and mean HU, and what makes them less sure."""
    return "".join(_level_html(scan, result, level) for level in result.levels)


def table_html(columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> str:
    """Return a table; numbers have two decimals."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_in_words(row.get(c)))}</td>" for c in columns) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def report_html(words: str, rows: Sequence[tuple[Path, Mapping[str, Cell]]]) -> str:
    """Return what a run did, a row per level, and the previews of the first ones.

    ``rows`` are the folder of the series and the row of the table, of every level.
    """
    areas = [f"{tissue.key}_area_cm2" for tissue in ABDOMINAL_TISSUES]
    columns = [c for c in ("study", "level", "status", *areas) if any(c in row for _, row in rows)]
    previews = [folder / f"preview-{row['level']}.png" for folder, row in rows]
    shown = [path.read_bytes() for path in previews if path.is_file()][:_PREVIEWS]
    return (
        f"<p>{escape(words)}</p>{table_html(columns, [row for _, row in rows])}"
        f"{''.join(_image(png) for png in shown)}"
    )


def _level_html(scan: Scan, result: SeriesResult, level: LevelResult) -> str:
    index = level.choice.slice_index
    if index is None:
        return f"<p>{escape(str(level))}</p>"
    rows: list[dict[str, Cell]] = [
        {"tissue": tissue.title, "area (cm2)": found.area_cm2, "mean (HU)": found.mean_hu}
        for tissue in result.tissues
        if (found := level.measurements.get(tissue.key))
    ]
    picture = _picture(scan.volume, index, level, result.tissues)
    flags = "".join(f"<li>{escape(flag.message)}</li>" for flag in level.flags)
    return (
        f"<p><b>{escape(level.choice.level)}</b>, slice {index}</p>"
        f"{_image(picture, _WIDTH_PX)}"
        f"{table_html(('tissue', 'area (cm2)', 'mean (HU)'), rows)}<ul>{flags}</ul>"
    )


def _picture(volume: Volume, index: int, level: LevelResult, tissues: Sequence[Tissue]) -> bytes:
    view = OrientationTransform.from_orientation(volume.orientation)
    hu, mask = view.apply(volume.hu[index]), view.apply(level.masks[index])
    stream = io.BytesIO()
    Image.fromarray(blended(hu, mask, tissues)).save(stream, format="PNG")
    return stream.getvalue()


def _image(png: bytes, width_px: int = 640) -> str:
    picture = base64.b64encode(png).decode("ascii")
    return f'<img width="{width_px}" alt="" src="data:image/png;base64,{picture}">'


def _in_words(cell: Cell) -> str:
    return "" if cell is None else f"{cell:.2f}" if isinstance(cell, float) else str(cell)
