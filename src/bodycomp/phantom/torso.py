"""A synthetic torso: built once from a patient's parameters, cut at any height by any scan."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, VISCERAL_FAT, Tissue
from bodycomp.imaging.label_map import folded
from bodycomp.imaging.volume import Volume
from bodycomp.phantom.acquisition.scanner import dark_bands, kernel_noise, metal_fans, shade
from bodycomp.phantom.acquisition.surroundings import paint_arms, paint_table
from bodycomp.phantom.acquisition.texture import scanner_noise
from bodycomp.phantom.acquisition.tissue_texture import tissue_texture
from bodycomp.phantom.acquisition.varied_surroundings import (
    paint_over,
    paint_varied_arms,
    paint_varied_table,
)
from bodycomp.phantom.canvas import Canvas
from bodycomp.phantom.content.bowel import Colon, SmallBowel
from bodycomp.phantom.content.content_variety import sample_content
from bodycomp.phantom.content.devices import paint_devices
from bodycomp.phantom.content.fat_content import paint_fat_content
from bodycomp.phantom.content.findings import paint_findings
from bodycomp.phantom.content.kidneys import paint_kidneys, paint_ureters
from bodycomp.phantom.content.lumps import paint_masses
from bodycomp.phantom.content.organs import (
    layout_organs,
    paint_liver,
    paint_pancreas_and_duodenum,
    paint_spleen,
    paint_stomach,
)
from bodycomp.phantom.content.thorax import paint_cavity, paint_mediastinum
from bodycomp.phantom.content.vessels import Mesentery, paint_great_vessels
from bodycomp.phantom.frame import SliceFrame, trunk_grid
from bodycomp.phantom.materials import materials_of
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.scan import ScanParameters
from bodycomp.phantom.shapes import SIN, Floats, knots
from bodycomp.phantom.skeleton.bones import paint_ribs, paint_shoulder_blades
from bodycomp.phantom.skeleton.head_neck import NECK_U, HeadNeck
from bodycomp.phantom.skeleton.legs import THIGH_U, Legs
from bodycomp.phantom.skeleton.levels import SpineCurve
from bodycomp.phantom.skeleton.pelvis import paint_pelvic_organs, paint_pelvis
from bodycomp.phantom.skeleton.spine import paint_spine
from bodycomp.phantom.trunk import Trunk, TrunkSection
from bodycomp.phantom.wall.muscle_content import grain_muscle
from bodycomp.phantom.wall.paint_wall import (
    paint_back_muscles,
    paint_covers,
    paint_crura,
    paint_psoas_and_quadratus,
    paint_sheets,
)


class Torso:
    """Immutable geometry of one patient.

    Attributes:
        patient: The parameters it was built from.
        level_z_mm: z of the middle of each vertebral body T1..S1 in mm, larger towards the head.
    """

    def __init__(self, patient: PatientParameters) -> None:
        self.patient = patient
        self._curve = SpineCurve(patient)
        self.level_z_mm: Mapping[str, float] = self._curve.level_z_mm
        self._trunk = Trunk(patient, self._curve)
        self._content = sample_content(patient)
        self._materials = materials_of(patient, self._content)
        self._organs = layout_organs(patient)
        self._mesentery = Mesentery(patient, self._content)
        self._small_bowel = SmallBowel(patient, self._content)
        self._colon = Colon(patient, self._content)
        self._texture = tissue_texture(patient, self._content)
        self._arms = self._arm_place()
        self._ends = None  # of standard patients, trunk contours stand for neck and thighs
        if patient.anatomy != "standard":
            self._ends = (
                HeadNeck(patient, self._curve, self._materials),
                Legs(patient, self._curve, self._materials, self._trunk.table_y),
            )

    def render_slice(
        self,
        scan: ScanParameters,
        z_mm: float,
        tissues: Collection[Tissue] = ABDOMINAL_TISSUES,
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Return HU and labels of some tissues, both (row, column), of the slice at ``z_mm``.

        Labels are those of ``bodycomp.anatomy``: muscle of the trunk wall, back, pelvis and psoas;
        subcutaneous fat between skin and muscle fascia; visceral fat inside the abdominal cavity
        below the diaphragm, around the kidneys and in their sinus. Zero are skin, bone, organs,
        bowel content, fat between and within muscles, diaphragm, mediastinal fat, arms, table.
        With ``ALL_TISSUES`` muscle is divided into its groups, the wall's being of the abdomen
        between chest and pelvis, and fat between and within muscles and vertebral bodies, without
        their arches, have labels.
        """
        hu, labels = self._render(scan, z_mm)
        return hu, folded(labels, tissues)

    def _render(
        self, scan: ScanParameters, z_mm: float
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        u = self._curve.level_at(z_mm)
        section = self._trunk.section(u)
        canvas = self._canvas(scan, section, z_mm)
        if self._ends is not None and not NECK_U <= u <= THIGH_U:
            self._ends[u > THIGH_U].paint(canvas, z_mm)
            return self._expose(canvas, scan, section, z_mm)
        self._paint_around(canvas, section)
        if self._ends is not None:
            self._ends[0].paint_shoulders(canvas, u, float((section.skin * SIN).max()))
        grid = trunk_grid(canvas, section)
        if grid is not None:
            pitch = self._curve.pitch_mm(u)
            frame = SliceFrame(
                canvas, grid, section, self.patient, self._curve, self._materials,
                z_mm, u, scan.slice_thickness_mm, pitch, max(0.07, scan.slice_thickness_mm / pitch),
                self._trunk.muscle, self._content,
            )  # fmt: skip
            self._paint_trunk(frame)
        return self._expose(canvas, scan, section, z_mm)

    def render(
        self, scan: ScanParameters, tissues: Collection[Tissue] = ABDOMINAL_TISSUES
    ) -> tuple[Volume, NDArray[np.uint8]]:
        """Return the whole series and its labels (slice, row, column), from feet to head."""
        z_all = scan.slice_z_mm
        hu = np.empty((len(z_all), *scan.matrix), dtype=np.int16)
        labels = np.empty(hu.shape, dtype=np.uint8)
        for index, z_mm in enumerate(z_all):
            hu[index], labels[index] = self.render_slice(scan, float(z_mm), tissues)
        spacing = (scan.pixel_spacing_mm, scan.pixel_spacing_mm)
        return Volume(hu, spacing, z_all, first_pixel_mm=scan.first_pixel_mm), labels

    def _paint_under(self, canvas: Canvas) -> None:
        around, table_y = self._content.surroundings, self._trunk.table_y
        if around is None:
            paint_table(canvas, table_y, self.patient.rotation_deg)
        else:
            paint_varied_table(canvas, around, table_y, self.patient.rotation_deg)

    def _paint_around(self, canvas: Canvas, section: TrunkSection) -> None:
        around, patient = self._content.surroundings, self.patient
        if around is None:
            paint_arms(canvas, patient, self._materials, section.u, self._arms)
            return
        paint_varied_arms(canvas, patient, self._materials, around, section, self._arms)
        paint_over(canvas, around, section, self._content.seed)

    def _arm_place(self) -> tuple[float, float]:
        widest = self._trunk.section(17.0)
        chest = self._trunk.section(11.0)
        half_width = max(float((part.skin * SIN).max()) for part in (widest, chest))
        return half_width - 3.0, float(chest.y + 20)

    def _canvas(self, scan: ScanParameters, section: TrunkSection, z_mm: float) -> Canvas:
        """Lay the patient's frame over the scanner's grid, with the table and texture."""
        pixel = scan.pixel_spacing_mm
        first_x, first_y, _ = scan.first_pixel_mm
        x = first_x + pixel * np.arange(scan.matrix[1]) - scan.body_offset_mm[0]
        y = first_y + pixel * np.arange(scan.matrix[0]) - scan.body_offset_mm[1]
        roll = np.radians(self.patient.rotation_deg)
        cos, sin = np.cos(roll), np.sin(roll)
        body_x = np.add.outer(y * sin, x * cos).astype(np.float32)
        body_y = np.add.outer(y * cos, -x * sin).astype(np.float32)
        edge = pixel * 0.5 + 1.25 - 0.75 * scan.sharpness
        canvas = Canvas(body_x, body_y, pixel, edge)
        self._paint_under(canvas)
        reach = float(section.skin.max()) + 2.0
        if not NECK_U <= section.u <= THIGH_U and self._ends is not None:
            reach = 320.0
        window = canvas.window(section.x, section.y, reach, reach)
        if window is not None:
            x, y = x[window[1]], y[window[0]]
            canvas.grain[window] = self._texture.fine(x, y, z_mm)
            canvas.blotch[window] = self._texture.coarse(x, y, z_mm)
            self._texture.bend(canvas, window, x, y, z_mm)
        return canvas

    def _paint_trunk(self, frame: SliceFrame) -> None:
        """Paint from outside in, and within the cavity from the back to the front."""
        paint_covers(frame)
        paint_sheets(frame)
        paint_shoulder_blades(frame)
        paint_back_muscles(frame, self._trunk)
        inside = paint_cavity(frame)
        if frame.u < 13:
            paint_mediastinum(frame, inside)
        if frame.u > 7:
            self._paint_abdomen(frame, inside)
        paint_psoas_and_quadratus(frame, self._organs.psoas_shift_u)
        grain_muscle(frame)
        paint_great_vessels(frame, self._organs.aortic_fork_u)
        paint_ribs(frame)
        paint_pelvis(frame)
        paint_spine(frame)
        paint_findings(frame)
        paint_fat_content(frame)
        paint_devices(frame)

    def _paint_abdomen(self, frame: SliceFrame, inside: Floats) -> None:
        paint_crura(frame)
        paint_spleen(frame, self._organs, inside)
        paint_liver(frame, self._organs, inside)
        paint_kidneys(frame, self._organs, inside)
        paint_pancreas_and_duodenum(frame, self._organs, inside)
        paint_stomach(frame, self._organs, inside)
        room = inside
        if self._content.varied:  # bowel fills what organs leave, and does not cut them
            room = inside * (frame.canvas.labels == VISCERAL_FAT.label)
        self._mesentery.paint(frame, room)
        paint_pelvic_organs(frame, inside)
        self._small_bowel.paint(frame, room)
        self._colon.paint(frame, room)
        paint_masses(frame, inside)
        paint_ureters(frame)

    def _expose(
        self, canvas: Canvas, scan: ScanParameters, section: TrunkSection, z_mm: float
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Add noise, round to integers and blank what is outside the round field of view."""
        rows, columns = scan.matrix
        across = np.square(np.arange(columns, dtype=np.float32) - (columns - 1) / 2)
        down = np.square(np.arange(rows, dtype=np.float32) - (rows - 1) / 2)
        away = np.add.outer(down, across)
        size = section.skin.mean() / 160.0
        noise = self._noise(canvas, scan, section, z_mm)
        body_px = float(section.skin.mean()) / scan.pixel_spacing_mm
        noise *= np.maximum(1.1 - away * np.float32(0.25 / body_px**2), np.float32(0.5))
        noise *= np.float32(scan.noise_hu * size**1.3)
        canvas.hu += noise
        hu = np.rint(canvas.hu, out=canvas.hu).astype(np.int16)
        np.clip(hu, -1024, 3071, out=hu)
        outside = away > min(columns / 2.0, 250.0 / scan.pixel_spacing_mm) ** 2
        np.copyto(hu, np.int16(scan.padding_hu), where=outside)
        np.copyto(canvas.labels, np.uint8(0), where=outside)
        return hu, canvas.labels

    def _noise(
        self, canvas: Canvas, scan: ScanParameters, section: TrunkSection, z_mm: float
    ) -> Floats:
        """Return noise of about unit variance, after what a varied scanner does to the image."""
        wide = float(np.clip(section.half_width * 2 / 400.0, 0, 0.4))
        streaky = wide * 0.35 + 0.35 * knots(section.u, (1, 3.5, 18, 20), (1, 0, 0, 1))
        if not self.patient.arms_up:
            streaky = min(streaky + 0.15, 0.8)
        scanner = self._content.scanner
        if scanner is None:
            return scanner_noise(scan.noise_seed, scan.sharpness, z_mm, scan.matrix, streaky)
        reach = float(section.skin.max()) + 4.0
        window = canvas.window(section.x, section.y, reach, reach)
        if window is not None:
            shade(canvas, window, scan, scanner)
            metal_fans(canvas, window, scan.noise_seed)
            if scanner.band_hu:
                dark_bands(canvas, window, scanner, scan.noise_seed, 0.4 + streaky)
        noise = kernel_noise(scan, scanner, z_mm)
        starved = max(float(section.half_width) / 160.0 - 1.0, 0.0) * scanner.starvation
        noise *= np.float32(scanner.noise_gain * (1.0 + starved))
        return noise
