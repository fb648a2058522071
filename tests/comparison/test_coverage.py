"""Intervals of changes hold the true change in 90 to 98 % of people: held-out, and simulated."""

import csv
from pathlib import Path

import numpy as np
import pytest

from bodycomp.agreement.conformal import conformal_bounds
from bodycomp.comparison.change import compare_pair
from bodycomp.comparison.repeatability import Repeatability, limit_of, shipped_repeatability
from bodycomp.networks.area_intervals import AreaBounds, error_scale

HU = "muscle_hu_range_mean_hu"
QUANTITIES = (
    *("muscle_hu_range_area_cm2", HU),
    *("subcutaneous_fat_hu_range_area_cm2", "visceral_fat_hu_range_area_cm2"),
)


def held_out_people():
    """Phantom people, scanned twice: what the default models found, and what is true."""
    path = Path(__file__).with_name("held_out_people.csv")
    people = {}
    for row in csv.DictReader(path.read_text().splitlines()):
        values = {name: float(row[name]) for name in QUANTITIES}
        people.setdefault(row["person"], {})[row["kind"], row["scan"]] = values
    return list(people.values())


def true_change(person, quantity):
    return person["true", "2"][quantity] - person["true", "1"][quantity]


def scaled_error(person, quantity):
    found = [person["found", scan][quantity] for scan in "12"]
    error = found[1] - found[0] - true_change(person, quantity)
    return error / (sum(found) + 2) ** 0.5 if quantity.endswith("cm2") else error


def limits(people):
    made = {name: limit_of([scaled_error(each, name) for each in people]) for name in QUANTITIES}
    areas = {name: limit for name, limit in made.items() if name.endswith("cm2")}
    return Repeatability("", "", len(people), root_area=areas, absolute={HU: made[HU]})


def test_intervals_hold_for_people_who_did_not_make_them():
    people, rng = held_out_people(), np.random.default_rng(5)
    held = {name: [] for name in QUANTITIES}
    for _ in range(40):
        order = rng.permutation(len(people))
        known = limits([people[n] for n in order[:40]])
        for person in (people[n] for n in order[40:]):
            rows = [person["found", scan] for scan in "12"]
            for change in compare_pair((0, 1), None, *rows, [known]).changes:
                true = true_change(person, change.quantity)
                held[change.quantity].append(change.low <= true <= change.high)
    assert len(people) == 60
    for each in held.values():
        assert 0.90 <= np.mean(each) <= 0.98


def test_what_ships_is_made_of_these_people():
    (shipped,) = shipped_repeatability()
    own = limits(held_out_people())
    for name in QUANTITIES:
        made, found = ({**each.root_area, **each.absolute}[name] for each in (shipped, own))
        assert made == pytest.approx(found, rel=0.01)
    assert set(shipped.models) == {"slice_selection", "segmentation"}


def test_intervals_of_a_card_hold_where_errors_are_independent():
    rng = np.random.default_rng(7)

    def measured(true):
        return max(true + rng.normal(1.5, 0.4 * error_scale(true)), 0.0)

    errors = []
    for true in rng.uniform(80, 200, 300):
        area = measured(true)
        errors.append(np.array([(true - area) / error_scale(area)]))
    bounds = AreaBounds(*conformal_bounds(errors, 0.9), 300, 300)
    held = []
    for true in rng.uniform(80, 200, 2000):
        change, rows = true * rng.uniform(-0.2, 0.1), []
        for area in (measured(true), measured(true + change)):
            low, high = bounds.around(area)
            ends = {"muscle_area_pi90_low_cm2": low, "muscle_area_pi90_high_cm2": high}
            rows.append({"level": "L4", "muscle_area_cm2": area} | ends)
        (found,) = compare_pair((0, 1), None, *rows, []).changes
        held.append(found.low <= change <= found.high)
    assert 0.93 <= np.mean(held) <= 0.97


@pytest.mark.parametrize("draw", ["normal", "heavy"])
def test_chance_is_right_as_often_as_it_says(draw):
    rng = np.random.default_rng(11)
    known = Repeatability("", "", 1, absolute={"waist_circumference_cm": 1.96})
    said, right = [], []
    for true in rng.normal(0, 30, 6000):  # of whom nothing is known before
        errors = rng.normal(0, 1, 2) if draw == "normal" else rng.standard_t(5, 2) * 0.6**0.5
        rows = [
            {"waist_circumference_cm": 90 + errors[0] / 2**0.5},
            {"waist_circumference_cm": 90 + true / 10 + errors[1] / 2**0.5},
        ]
        (change,) = compare_pair((0, 1), None, *rows, [known]).changes
        said.append(change.probability)
        right.append(change.difference * true > 0)
    said, right = np.array(said), np.array(right)
    for low, high in ((0.5, 0.8), (0.8, 0.95), (0.95, 1.0)):
        band = (said >= low) & (said < high)
        assert np.mean(right[band]) == pytest.approx(np.mean(said[band]), abs=0.06)
