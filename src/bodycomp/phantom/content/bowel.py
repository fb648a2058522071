"""Colon with gas and stool, small bowel loops with fluid, contrast or gas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bodycomp.phantom.canvas import Capsule, Ink, Window
from bodycomp.phantom.content.bowel_fill import (
    BowelContent,
    BowelFill,
    draw_colon,
    draw_small_bowel,
)
from bodycomp.phantom.content.content_variety import ContentVariety
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import Floats, knots

Content = Literal["fluid", "gas", "stool"]
_CONTENTS: tuple[Content, ...] = ("fluid", "gas", "stool")


@dataclass(frozen=True)
class BowelPiece:
    """A piece of bowel in the slice; lengths in mm, ``taper``: relative radius of the far end.

    In varied patients ``fill`` says what it holds, ``content`` and ``gas_share`` do not count,
    and ``soft_mm`` is how far a thick slice smears the wall that it cuts obliquely.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    radius: float
    taper: float
    wall: float
    content: Content
    gas_share: float
    fill: BowelFill | None = None
    soft_mm: float = 0.0


def paint_bowel(frame: SliceFrame, pieces: Sequence[BowelPiece], inside: Floats) -> None:
    """Paint pieces of bowel that open into one another: first their walls, then their content."""
    canvas, usual = frame.canvas, Ink(frame.materials.bowel_wall, 0, 2.0)
    found = []
    for piece in pieces:
        radius = piece.radius
        ink = usual if piece.fill is None else Ink(usual.hu + piece.fill.wall_shift_hu, 0, 3.0)
        shape = Capsule(piece.x0, piece.y0, piece.x1, piece.y1, radius, radius * piece.taper)
        seen = canvas.capsule_distance(shape)
        if seen is not None:
            window, distance = seen
            if piece.fill is not None:
                distance += np.float32(piece.fill.rough_mm) * canvas.blotch[window]
            canvas.fill(window, canvas.cover(distance, piece.soft_mm) * inside[window], ink)
            found.append((piece, window, distance))
    for piece, window, distance in found:
        if piece.radius > piece.wall + 1.5:
            cover = canvas.cover(distance + np.float32(piece.wall), piece.soft_mm)
            cover *= inside[window]
            inner = -distance - np.float32(piece.wall)
            canvas.fill(window, cover, usual, _content_hu(frame, piece, window, inner))


def _content_hu(frame: SliceFrame, piece: BowelPiece, window: Window, inner: Floats) -> Floats:
    """Return HU of the content: gas collects in front, stool is mottled with bubbles.

    ``inner`` is how far (mm) each pixel lies inside the wall.
    """
    canvas, materials = frame.canvas, frame.materials
    if piece.fill is not None:
        reach = piece.radius - piece.wall
        span = min(piece.y0, piece.y1) - reach, max(piece.y0, piece.y1) + reach
        wall_hu = materials.bowel_wall + piece.fill.wall_shift_hu
        return piece.fill.hu(canvas, window, inner, span, wall_hu)
    grain, blotch = canvas.grain[window], canvas.blotch[window]
    if piece.content == "stool":
        bubbles = np.clip((grain + 0.3 * blotch - 0.8) * 1.6, 0.0, 1.0)
        hu: Floats = materials.stool + 28 * blotch
        hu += bubbles * (-650.0 - hu)
    else:
        hu = materials.lumen + 7 * grain + (0.12 * materials.lumen) * blotch
    if piece.content == "gas" or 0.08 < piece.gas_share < 1.0:
        share = 0.5 + 0.5 * piece.gas_share if piece.content == "gas" else piece.gas_share
        top = min(piece.y0, piece.y1) - piece.radius
        bottom = max(piece.y0, piece.y1) + piece.radius
        level = top + (bottom - top) * share
        gas = canvas.cover(canvas.y[window] - np.float32(level), 0.8)
        hu += gas * (materials.gas - hu)
    return hu


class SmallBowel:
    """Immutable set of small bowel loops of one patient, each a short sausage in space."""

    def __init__(self, patient: PatientParameters, content: ContentVariety) -> None:
        rng = np.random.default_rng([patient.anatomy_seed, 6])
        varied = content.bowel
        count = 185 if varied is None else round(185 * varied.loops)
        angle = rng.uniform(-np.pi, np.pi, count)
        reach = np.sqrt(rng.uniform(0, 1, count)) * 0.82
        self._x: NDArray[np.float64] = reach * np.sin(angle) + 0.05
        self._y: NDArray[np.float64] = reach * np.cos(angle)
        self._u: NDArray[np.float64] = 13.1 + 8.7 * rng.uniform(0, 1, count) ** 0.95
        self._turn: NDArray[np.float64] = rng.uniform(0, np.pi, count)
        self._run_mm: NDArray[np.float64] = 2 + 16 * rng.uniform(0, 1, count) ** 2
        packed = float(np.clip(1.4 - 0.004 * patient.visceral_fat_cm2, 1.0, 1.4))
        self._radius_mm: NDArray[np.float64] = rng.uniform(9, 16, count) * packed
        gas = 0.35 * patient.bowel_gas
        self._content = [_CONTENTS[int(c)] for c in rng.choice(2, count, p=[1 - gas, gas])]
        self._share: NDArray[np.float64] = rng.uniform(0, 1, count)
        self._fill: list[BowelFill] = []
        self._wall_mm, self._reach = 1.8, 1.0
        if varied is not None:
            self._radius_mm *= varied.calibre
            self._run_mm *= varied.run
            self._wall_mm, self._reach = varied.wall_mm, varied.reach / 0.82
            own = np.random.default_rng([content.seed, 6])
            self._fill = [draw_small_bowel(own, varied, gas) for _ in range(count)]

    def paint(self, frame: SliceFrame, inside: Floats) -> None:
        """Paint the loops that the slice cuts, from the back to the front."""
        section, scale = frame.section, frame.scale
        half = self._radius_mm * 1.25 * scale
        pitch = frame.pitch_mm
        zeta = (self._u - frame.u) * pitch / half
        for k in np.flatnonzero(np.abs(zeta) < 0.97):
            size = float(np.sqrt(1 - zeta[k] ** 2))
            wide = min(section.half_width, 150 * scale) - 8
            x = section.x + wide * self._reach * self._x[k]
            y = section.y - section.front * 0.33 - section.front * 0.62 * self._reach * self._y[k]
            run = float(self._run_mm[k]) * scale * size
            dx, dy = run * np.cos(self._turn[k]), run * np.sin(self._turn[k])
            piece = BowelPiece(
                *(float(x - dx), float(y - dy), float(x + dx), float(y + dy)),
                float(self._radius_mm[k]) * scale * size,
                0.6 + 0.5 * float(self._share[k]), self._wall_mm, self._content[k],
                max(0.0, 1.6 * float(self._share[k]) - 1.1),
                self._fill[k] if self._fill else None,
                0.4 * frame.thickness_mm * abs(float(zeta[k])) if self._fill else 0.0,
            )  # fmt: skip
            paint_bowel(frame, [piece], inside)


class Colon:
    """Immutable course of the colon of one patient."""

    def __init__(self, patient: PatientParameters, content: ContentVariety) -> None:
        rng = np.random.default_rng([patient.anatomy_seed, 7])
        self._gas = patient.bowel_gas
        self._phase: NDArray[np.float64] = rng.uniform(0, 6.28, 4)
        self._right_mm = float(rng.uniform(21, 31))
        self._left_mm = float(rng.uniform(12, 19))
        self._flexure_u = float(rng.normal(13.6, 0.3))
        self._splenic_u = float(rng.normal(12.0, 0.3))
        self._sag = float(np.clip(rng.normal(1.3, 0.7), 0.0, 3.2))
        self._cross_mm = float(rng.uniform(17, 25))
        self._full = rng.uniform(0, 1, 24)
        self._sigmoid = rng.uniform(-1, 1, (14, 3))
        self._fill: list[BowelFill] = []
        self._bow, self._wall_mm = 0.0, 2.4
        if content.bowel is not None:
            self._vary(content.bowel, np.random.default_rng([content.seed, 7]))

    def _vary(self, varied: BowelContent, rng: np.random.Generator) -> None:
        self._right_mm *= float(rng.uniform(0.5, 1.1))
        self._left_mm *= float(rng.uniform(0.5, 1.4))
        self._cross_mm *= float(rng.uniform(0.5, 1.2))
        self._bow, self._wall_mm = float(rng.uniform(-0.25, 0.3)), varied.wall_mm + 0.4
        self._sag += float(rng.uniform(-0.5, 1.5))
        self._fill = [draw_colon(rng, varied, self._gas) for _ in range(24)]

    def _fill_at(self, place: float) -> BowelFill | None:
        """What the colon holds at ``place``; it changes from one haustrum to the next."""
        return self._fill[int(place) % 24] if self._fill else None

    def _content(self, k: int) -> tuple[Content, float]:
        draw = float(self._full[k % 24])
        if draw < self._gas:
            return "gas", draw / max(self._gas, 0.05)
        return "stool", 0.7 * draw

    def _gas_in_front(self, u: float, part: int) -> float:
        """Share of the lumen's depth that gas takes, changing smoothly along the colon."""
        wave = 0.5 + 0.6 * np.sin(1.9 * u + self._phase[part]) + 0.3 * np.sin(4.3 * u)
        return float(np.clip(1.6 * self._gas * wave, 0.0, 0.95))

    def paint(self, frame: SliceFrame, inside: Floats) -> None:
        """Paint caecum and ascending, transverse, descending and sigmoid colon."""
        self._paint_ascending(frame, inside)
        self._paint_descending(frame, inside)
        self._paint_transverse(frame, inside)
        self._paint_sigmoid(frame, inside)

    def _paint_ascending(self, frame: SliceFrame, inside: Floats) -> None:
        u, section = frame.u, frame.section
        if not self._flexure_u - 0.3 < u < 18.7:
            return
        end = min(1.0, (18.7 - u) / 0.6, (u - self._flexure_u + 0.3) / 0.4)
        swell = 1.0 + 0.16 * np.sin(u * 5.2 + self._phase[0])
        radius = self._right_mm * frame.scale * float(swell * np.sqrt(max(end, 0.0)))
        side = section.half_width * knots(u, (13, 17, 18.7), (0.97, 0.97, 0.8))
        x = section.x - side + 28 * frame.scale
        y = section.y + section.back * knots(u, (13, 15, 17, 18.7), (0.0, 0.02, -0.35, -0.7))
        share = self._gas_in_front(u, 2)
        fill = self._fill_at(1.7 * u)
        piece = BowelPiece(
            x - 3, y - 4, x + 3, y + 4, radius, 1.0, self._wall_mm, "stool", share, fill
        )
        paint_bowel(frame, [piece], inside)

    def _paint_descending(self, frame: SliceFrame, inside: Floats) -> None:
        u, section = frame.u, frame.section
        if not self._splenic_u - 0.2 < u < 18.2:
            return
        swell = 1.0 + 0.2 * np.sin(u * 6.1 + self._phase[1])
        radius = self._left_mm * frame.scale * float(swell)
        side = section.half_width * knots(u, (12, 17, 18.2), (0.97, 0.97, 0.82))
        x = section.x + side - 20 * frame.scale
        y = section.y + section.back * knots(u, (12, 15, 17, 18.2), (0.15, 0.35, -0.05, -0.4))
        share = self._gas_in_front(u, 3)
        fill, wall = self._fill_at(11 + 1.7 * u), self._wall_mm + 0.2
        piece = BowelPiece(x, y - 2, x, y + 2, radius, 1.0, wall, "stool", share, fill)
        paint_bowel(frame, [piece], inside)

    def _paint_transverse(self, frame: SliceFrame, inside: Floats) -> None:
        section, u, scale = frame.section, frame.u, frame.scale
        steps, pieces = 15, []
        for k in range(steps):
            t = k / (steps - 1)
            level = self._flexure_u + (self._splenic_u - self._flexure_u) * t
            level += self._sag * 4 * t * (1 - t)
            radius = self._cross_mm * scale * (1 + 0.15 * np.sin(3.0 * k + self._phase[2]))
            off = (u - level) * frame.pitch_mm / radius
            if abs(off) >= 0.95:
                continue
            cut = float(radius * np.sqrt(1 - off * off))
            x = section.x + section.half_width * (-0.72 + 1.44 * t)
            bow = 0.62 + self._bow + 0.5 * t * (1 - t)
            y = section.y - section.front * bow + 6
            content, _ = self._content(14 + k // 3)
            x, y = float(x), float(y)
            fill, wall = self._fill_at(8 + k / 3), self._wall_mm - 0.2
            pieces.append(BowelPiece(x - 4, y, x + 4, y, cut, 1.0, wall, content, 1.0, fill))
        paint_bowel(frame, pieces, inside)

    def _paint_sigmoid(self, frame: SliceFrame, inside: Floats) -> None:
        section, scale, pieces = frame.section, frame.scale, []
        for k, (a, b, c) in enumerate(self._sigmoid):
            radius = (14 + 4 * c) * scale
            off = (frame.u - (18.4 + 2.2 * (k + 1) / 14)) * 24 / radius
            if abs(off) < 0.95:
                cut = float(radius * np.sqrt(1 - off * off))
                x = float(section.x + section.half_width * (0.45 * a + 0.2))
                y = float(section.y + section.front * 0.5 * b)
                content, share = self._content(k)
                fill, wall = self._fill_at(k), self._wall_mm + 0.2
                pieces.append(BowelPiece(x - 5, y, x + 5, y, cut, 1.0, wall, content, share, fill))
        paint_bowel(frame, pieces, inside)
