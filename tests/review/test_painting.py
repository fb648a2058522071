"""Masks painted on the page, as the review has them: applied, saved by a server, trained with."""

import csv
import json
import shutil
import threading
import urllib.request
from dataclasses import replace
from urllib.error import HTTPError

import nibabel as nib
import numpy as np
import pytest

import bodycomp
from bodycomp.errors import ReviewError
from bodycomp.review.measure_mask import file_digest
from bodycomp.review.options import CorrectionOptions, ServeOptions
from bodycomp.review.serve import ReviewServer
from support.reviewed_runs import AT, COLUMNS, PIXEL_CM2, level_document, make_run, table

LATER = AT.replace("09:41", "10:41")
PAINTED = "12:100+30=2,700+10=3"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def run(measured, tmp_path):
    shutil.copytree(measured.place, tmp_path, dirs_exist_ok=True)
    return replace(measured, place=tmp_path)


def digest(run, number=0):
    return file_digest(run.folder(number) / "labels.nii.gz")


def review(run, *rows, name="review.csv"):
    """Write what the page exports of some rows, with the columns of masks."""
    path = run.place / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, (*COLUMNS, "masks", "masks_from"))
        writer.writeheader()
        writer.writerows(rows)
    return path


def painted(run, masks=PAINTED, number=0, **cells):
    return run.review_row(number, masks=masks, masks_from=digest(run, number), **cells)


def pixels(folder):
    return np.asarray(nib.load(folder / "labels.nii.gz").dataobj)[:, :, 12].T.ravel()


def test_painted_pixels_are_measured_and_the_last_word_counts(run):
    outcome = run.apply(review(run, painted(run, verdict="accept", comment="bowel")))
    assert (outcome.new, outcome.painted, outcome.moved) == (1, 1, 0)
    expected = pixels(run.folder())
    expected[100:130], expected[700:710] = 2, 3
    now = pixels(run.folder() / "corrected" / "L3")
    assert np.array_equal(now, expected)
    row = run.row()
    for label, key in ((1, "muscle"), (2, "subcutaneous_fat"), (3, "visceral_fat")):
        assert float(row[f"{key}_area_cm2"]) == pytest.approx((now == label).sum() * PIXEL_CM2)
    assert (row["corrected"], row["corrected_by"], row["verdict"]) == ("mask", "AB", "accept")
    said = level_document(run.folder())["correction"]
    assert (said["by"], said["reason"], said["mask_digest_before"]) == ("AB", "bowel", digest(run))

    again = run.apply(review(run, painted(run, verdict="accept", reviewed_at=LATER)), inputs=())
    assert (again.painted, again.restored) == (0, 0)  # the same mask: nothing to measure
    without = run.review_row(masks="", masks_from=digest(run), reviewed_at=LATER, verdict="accept")
    back = run.apply(review(run, without | {"reviewed_at": LATER.replace("10:", "11:")}))
    assert (back.restored, run.row()["corrected"]) == (1, "")


@pytest.mark.parametrize(
    ("masks", "cells", "words"),
    [
        ("12:5+3", {}, "column masks: expected SLICE:FIRST"),
        ("12:5+3=9", {}, r"expected labels \[0, 1, 2, 3\], found 9"),
        ("99:5+3=1", {}, "expected slices from 0 to 29, found 99"),
        ("12:2550+99=1", {}, "expected pixels below 2560 of slice 12"),
        ("13:5+3=1", {}, r"slices on which .* is measured \(12\), found 13"),
        (PAINTED, {"masks_from": ""}, "column masks_from: expected which masks"),
        (PAINTED, {"masks_from": "0123456789ab"}, "expected the digest of a mask"),
        (PAINTED, {"moved_to_slice": 20}, "expected a level on slice 12"),
    ],
)
def test_a_painting_that_does_not_fit_is_refused_and_nothing_is_written(run, masks, cells, words):
    with pytest.raises(ReviewError, match=words):
        run.apply(review(run, painted(run, masks) | cells))
    assert not (run.out / "reviewed.csv").exists()


def test_a_rejected_painting_is_not_measured_and_one_without_scans_waits(run):
    outcome = run.apply(
        review(run, painted(run, verdict="reject"), painted(run, number=1)), move=False
    )
    assert (outcome.rejected_changes, outcome.painted, outcome.waiting) == (1, 0, 1)
    with pytest.raises(ReviewError, match="expected the scans"):
        run.apply(review(run, painted(run, number=1, reviewed_at=LATER)), inputs=())


def test_a_server_gives_the_page_and_applies_what_it_sends_to_nobody_else(run):
    scans = CorrectionOptions(out_dir=run.out, inputs=run.inputs)
    server = ReviewServer(ServeOptions(scans=scans), run.segmenter)
    thread = threading.Thread(target=server.run)
    thread.start()
    place, _, token = server.address.partition("?token=")
    body = review(run, painted(run, verdict="accept")).read_bytes()

    def ask(address, data=None, **headers):
        asked = urllib.request.Request(address, data, headers)
        try:
            with urllib.request.urlopen(asked) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    try:
        assert place.startswith("http://127.0.0.1:")
        status, page = ask(server.address)
        assert status == 200
        assert "connect-src 'self'" in page
        assert ask(place)[0] == ask(f"{place}?token=x")[0] == 403
        assert ask(server.address, Host="evil.example")[0] == 403
        assert ask(f"{place}review", body)[0] == 403
        assert not (run.out / "reviewed.csv").exists()
        status, text = ask(f"{place}review", body, **{"X-Review-Key": token})
        assert (status, json.loads(text)) == (200, {"new": 1, "waiting": 0})
        assert run.row()["corrected"] == "mask"
        status, text = ask(f"{place}review", b"nothing", **{"X-Review-Key": token})
        assert status == 409
        assert "expected the columns of a review" in json.loads(text)["error"]
    finally:
        server.close()
        thread.join()


def test_what_people_corrected_becomes_a_training_set(run):
    accepted = run.review_row(1, verdict="accept")
    run.apply(review(run, painted(run), accepted | {"masks": "", "masks_from": ""}))
    made = bodycomp.prepare_from_review(run.out, inputs=run.inputs, folder=run.place / "cases")
    assert (made.masks, made.levels) == (2, 1)  # the level of the first is nobody's word
    rows = {bool(row["levels"]): row for row in table(made.table)}
    assert rows[False]["patient"].startswith("SECRET")
    assert np.array_equal(
        np.asarray(nib.load(run.place / "cases" / rows[False]["masks"]).dataobj),
        np.asarray(nib.load(run.folder() / "corrected" / "L3" / "labels.nii.gz").dataobj),
    )
    labels = ["1=muscle", "2=subcutaneous_fat", "3=visceral_fat"]
    summary = bodycomp.prepare_segmentation(
        made.table, run.place / "set", labels=labels, split=(1, 0, 0), jobs=1
    )
    assert (sum(summary.counts.slices.values()), summary.refused) == (2, ())
    few = bodycomp.prepare_from_review(
        run.out, inputs=run.inputs, folder=run.place / "few", corrected=True
    )
    assert (few.masks, few.levels) == (1, 0)


def test_readers_are_compared_with_one_another_and_with_the_networks(run):
    one = review(run, painted(run, verdict="accept"), painted(run, "", 1, verdict="accept"))
    others = (
        run.review_row(0, verdict="accept", reviewer="CD", masks="", masks_from=digest(run)),
        run.review_row(1, verdict="reject", reviewer="CD", moved_to_slice=""),
    )
    other = review(run, *others, name="other.csv")
    found = bodycomp.reader_agreement(run.out, (one, other), folder=run.place / "agreement")
    pairs = {pair.name: (pair, document) for pair, document in found}
    assert list(pairs) == ["reader1-reader2", "reader1-networks", "reader2-networks"]
    pair, document = pairs["reader1-reader2"]
    assert pair.readers == ("AB", "CD")
    assert (pair.verdicts["cases"], pair.verdicts["same"]) == (2, 1)
    before = pixels(run.folder())
    after = before.copy()
    after[100:130], after[700:710] = 2, 3
    dice = 2 * ((before == 2) & (after == 2)).sum() / ((before == 2).sum() + (after == 2).sum())
    metrics = document.sections["segmentation"]["tissues"]["subcutaneous_fat"]["metrics"]
    assert metrics["mean_dice"]["value"] == pytest.approx(dice)
    same = pairs["reader2-networks"][1].sections["segmentation"]["tissues"]["muscle"]["metrics"]
    assert same["mean_dice"]["value"] == 1
    assert pairs["reader1-networks"][1].sections["segmentation"]["counts"]["slices"] == 2
