"""What a loop of bowel holds in a varied patient: each loop is a material of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bodycomp.phantom.canvas import Canvas, Window
from bodycomp.phantom.shapes import Floats


@dataclass(frozen=True)
class BowelContent:
    """How loops of bowel are filled.

    Attributes:
        loops: Number of small bowel loops relative to the standard patient.
        calibre: Their radius relative to the standard; 0.7 (collapsed) to 1.8 (obstructed).
        run: Length of a loop in the slice relative to the standard.
        reach: How far from the middle loops lie; 1 is the abdominal wall.
        wall_mm: Thickness of the wall.
        fluid_hu: What most loops hold.
        fluid_sd_hu: How much loops differ.
        odd_share: Share of loops that hold something else: contrast, food, fat, gas, nothing.
        stool_bubbles: How much gas stool holds, -1..1.
        stool_mottle_hu: Amplitude of the grain of stool.
        contrast_hu: Attenuation of oral contrast where there is any.
        contrast_share: Share of loops and colon that it has reached.
    """

    loops: float
    calibre: float
    run: float
    reach: float
    wall_mm: float
    fluid_hu: float
    fluid_sd_hu: float
    odd_share: float
    stool_bubbles: float
    stool_mottle_hu: float
    contrast_hu: float
    contrast_share: float


@dataclass(frozen=True)
class BowelFill:
    """Content and wall of one piece of bowel.

    Attributes:
        lumen_hu: Attenuation of the content; ``wall_shift_hu``: the wall's, relative to others.
        fine_hu: Amplitude of the fine texture; ``coarse_hu`` of the coarse one.
        bubbles: Threshold of the texture above which there is gas; 9 is none.
        bubble_hu: Attenuation of small bubbles, between gas and content.
        sediment_hu: How much denser content is behind than in front (contrast that settles).
        fold_mm: Distance of mucosal folds, 0 for none; ``fold_deg`` their direction.
        coat_hu: Attenuation of a thin coat on the wall (residual contrast); 0 for none.
        rough_mm: How far the outline departs from a tube.
        gas: 0..1, share of the depth that free gas takes in front.
    """

    lumen_hu: float
    wall_shift_hu: float = 0.0
    fine_hu: float = 4.0
    coarse_hu: float = 3.0
    bubbles: float = 9.0
    bubble_hu: float = -700.0
    sediment_hu: float = 0.0
    fold_mm: float = 0.0
    fold_deg: float = 0.0
    coat_hu: float = 0.0
    rough_mm: float = 1.5
    gas: float = 0.0

    def hu(
        self,
        canvas: Canvas,
        window: Window,
        depth_mm: Floats,
        span: tuple[float, float],
        wall_hu: float,
    ) -> Floats:
        """Return HU in the window.

        Args:
            canvas: The slice.
            window: Pixels around the piece.
            depth_mm: How far each of them lies inside the wall (negative outside).
            span: y of the foremost and the rearmost point of the lumen, in mm.
            wall_hu: Attenuation of the wall.
        """
        grain, blotch, y = canvas.grain[window], canvas.blotch[window], canvas.y[window]
        front, back = span
        hu: Floats = np.float32(self.lumen_hu) + np.float32(self.fine_hu) * grain
        hu += np.float32(self.coarse_hu) * blotch
        if self.sediment_hu:
            hu += np.float32(self.sediment_hu) * np.clip(
                (y - np.float32(front)) / np.float32(max(back - front, 1.0)), 0.0, 1.0
            )
        if self.bubbles < 5.0:
            gas = np.clip((grain + 0.6 * blotch - np.float32(self.bubbles)) * 1.5, 0.0, 1.0)
            hu += gas * (np.float32(self.bubble_hu) - hu)
        if self.fold_mm:
            turn = np.radians(self.fold_deg)
            along = canvas.x[window] * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))
            wave = np.sin(along * np.float32(2 * np.pi / self.fold_mm) + 2.5 * blotch)
            fold = np.clip(2 * wave - 0.5, 0.0, 1.0) * np.clip(0.9 - depth_mm / 7.0, 0.0, 0.6)
            hu += fold * (np.float32(wall_hu) - hu)
        if self.coat_hu:
            hu += np.clip(1.0 - depth_mm / 2.0, 0.0, 0.8) * (np.float32(self.coat_hu) - hu)
        if self.gas > 0.03:
            level = front + (back - front) * self.gas
            air = canvas.cover(y - np.float32(level), 0.8)
            hu += air * (np.float32(-970.0) - hu)
        return hu


def draw_small_bowel(rng: np.random.Generator, content: BowelContent, gas: float) -> BowelFill:
    """Draw one loop of small bowel; ``gas`` is the share of loops that hold gas."""
    fill = BowelFill(
        lumen_hu=float(rng.normal(content.fluid_hu, content.fluid_sd_hu)),
        wall_shift_hu=float(rng.normal(0, 9)),
        fine_hu=float(rng.uniform(0, 9)),
        coarse_hu=float(rng.uniform(0, 12)),
        fold_mm=float(rng.uniform(3.5, 8)) if rng.random() < 0.45 else 0.0,
        fold_deg=float(rng.uniform(0, 180)),
        rough_mm=float(rng.uniform(0.8, 4.0)),
    )
    if rng.random() < content.contrast_share:
        dense = content.contrast_hu * float(rng.uniform(0.3, 1.3))
        return replace(
            fill, lumen_hu=dense, coarse_hu=0.1 * dense, fine_hu=0.04 * dense,
            sediment_hu=float(rng.uniform(0, 0.5)) * dense, gas=_free_gas(rng, 0.15),
        )  # fmt: skip
    if rng.random() < gas:
        return replace(fill, gas=float(rng.uniform(0.4, 1.15)))
    if rng.random() < content.odd_share:
        return _odd(rng, fill, content)
    return fill


def _free_gas(rng: np.random.Generator, share: float) -> float:
    return float(rng.uniform(0.1, 0.9)) if rng.random() < share else 0.0


_ODD: Final = ("collapsed", "food", "fatty", "dilute", "feculent", "coated")


def _odd(rng: np.random.Generator, fill: BowelFill, content: BowelContent) -> BowelFill:
    kind = _ODD[int(rng.integers(len(_ODD)))]
    if kind == "collapsed":
        return replace(fill, lumen_hu=50.0 + fill.wall_shift_hu, fold_mm=0.0)
    if kind == "food":
        return replace(
            fill, lumen_hu=float(rng.uniform(-40, 110)), fine_hu=float(rng.uniform(5, 40)),
            coarse_hu=float(rng.uniform(5, 45)),
        )  # fmt: skip
    if kind == "fatty":
        return replace(fill, lumen_hu=float(rng.uniform(-110, -20)))
    if kind == "dilute":
        return replace(fill, lumen_hu=float(rng.uniform(50, 140)))
    if kind == "feculent":
        return replace(
            fill, lumen_hu=float(rng.uniform(0, 70)), bubbles=float(rng.uniform(0.4, 1.6)),
            fine_hu=float(rng.uniform(5, 30)), bubble_hu=float(rng.uniform(-900, -200)),
        )  # fmt: skip
    return replace(fill, coat_hu=content.contrast_hu)


def draw_colon(rng: np.random.Generator, content: BowelContent, gas: float) -> BowelFill:
    """Draw one stretch of colon: stool of any kind, gas, fluid, tagged residue, or empty."""
    tagged = rng.random() < content.contrast_share
    stool = BowelFill(
        lumen_hu=float(rng.uniform(-60, 90)) + (0.4 * content.contrast_hu if tagged else 0.0),
        wall_shift_hu=float(rng.normal(0, 9)),
        fine_hu=content.stool_mottle_hu * float(rng.uniform(0.3, 1.2)),
        coarse_hu=content.stool_mottle_hu * float(rng.uniform(0.2, 1.0)),
        bubbles=0.8 - 0.9 * content.stool_bubbles + float(rng.normal(0, 0.4)),
        bubble_hu=float(rng.uniform(-950, -350)),
        rough_mm=float(rng.uniform(0.8, 3.0)),
        gas=float(rng.uniform(0.05, 0.6)) if rng.random() < gas else 0.0,
    )
    kind = rng.random()
    if kind < 0.55:
        return stool
    if kind < 0.55 + 0.6 * gas:
        return replace(
            stool, fine_hu=6.0, coarse_hu=5.0, bubbles=9.0, gas=float(rng.uniform(0.5, 1.2))
        )
    if kind < 0.88:
        fluid = float(rng.normal(content.fluid_hu, 12))
        return replace(
            stool, lumen_hu=fluid + (content.contrast_hu if tagged else 0.0), fine_hu=5.0,
            coarse_hu=5.0, bubbles=9.0,
        )  # fmt: skip
    return replace(stool, lumen_hu=50.0, fine_hu=3.0, coarse_hu=3.0, bubbles=9.0, gas=0.0)


def draw_bowel(rng: np.random.Generator, opaque: bool, wide: bool) -> BowelContent:
    """Draw how a patient's bowel is filled; ``opaque``: positive oral contrast was drunk."""
    dilated = rng.random() < 0.1
    reached = opaque or rng.random() < 0.1
    return BowelContent(
        loops=float(rng.uniform(0.7, 1.5)) * (0.5 if dilated else 1.0),
        calibre=float(rng.uniform(1.2, 1.8) if dilated else rng.uniform(0.5, 1.15)),
        run=float(rng.uniform(0.8, 2.6)),
        reach=float(rng.uniform(0.78, 1.0)),
        wall_mm=float(rng.uniform(1.0, 2.8)) + (2.0 if rng.random() < 0.08 else 0.0),
        fluid_hu=float(rng.uniform(-10, 70) if wide else rng.uniform(5, 40)),
        fluid_sd_hu=float(rng.uniform(2, 45) if wide else rng.uniform(2, 14)),
        odd_share=float(rng.uniform(0, 0.6)),
        stool_bubbles=float(rng.uniform(-1, 1)),
        stool_mottle_hu=float(rng.uniform(8, 90)),
        contrast_hu=float(np.exp(rng.uniform(np.log(70), np.log(900)))),
        contrast_share=float(rng.uniform(0.15, 1.0)) if reached else 0.0,
    )


def draw_stomach(rng: np.random.Generator, content: BowelContent) -> BowelFill:
    """Draw what the stomach holds: gas in front of fluid, food or contrast."""
    fill = draw_small_bowel(rng, content, 0.3)
    return replace(fill, gas=float(rng.uniform(0.0, 0.8)), rough_mm=2.0)
