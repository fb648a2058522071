"""Images belong together by what they state; what is missing is not different."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bodycomp.dicom.file_header import FileHeader
from bodycomp.dicom.grouping import Group, group_files, refuse_split_series
from bodycomp.dicom.series_identity import IDENTITY, by_series
from support.image_headers import image_header

FIELDS = tuple(IDENTITY.values())
Parts = set[frozenset[int]]


def parts(headers: list[FileHeader]) -> Parts:
    """The groups, as sets of the z positions of their images."""
    return {frozenset(int((h.position_mm or ())[2]) for h in group) for group in by_series(headers)}


@given(
    st.lists(
        st.sampled_from([(), *((name,) for name in FIELDS), ("patient_id", FIELDS[3])]),
        min_size=2,
        max_size=20,
    )
)
def test_one_series_stays_whole_whatever_its_images_lack(lacking: list[tuple[str, ...]]) -> None:
    """At least one image states all, as a rule most of them do."""
    headers = [image_header(-1.0)]
    headers += [
        image_header(index, **dict.fromkeys(names, "")) for index, names in enumerate(lacking)
    ]
    assert parts(headers) == {frozenset(range(-1, len(lacking)))}


CLAIMS = st.fixed_dictionaries(
    {
        "patient_id": st.sampled_from(["", "P", "Q"]),
        "study_uid": st.sampled_from(["", "1.1", "1.2"]),
        "series_uid": st.sampled_from(["", "1.1.1", "1.1.2"]),
        "frame_of_reference_uid": st.sampled_from(["", "1.1.9"]),
        "series_number": st.sampled_from([None, 1, 2]),
        "folder": st.sampled_from(["a", "b"]),
    }
)


@given(st.lists(CLAIMS, min_size=1, max_size=12), st.randoms())
def test_values_that_are_stated_and_differ_are_never_joined(
    claims: list[dict[str, object]], random: object
) -> None:
    headers = [image_header(index, **claim) for index, claim in enumerate(claims)]
    groups = by_series(headers)
    assert sorted(id(h) for group in groups for h in group) == sorted(map(id, headers))
    for group in groups:
        for name in FIELDS:
            assert len({getattr(header, name) for header in group} - {""}) <= 1
    found = parts(headers)
    random.shuffle(headers)
    assert parts(headers) == found


def test_image_that_names_no_patient_joins_neither_of_two() -> None:
    headers = [
        image_header(0, patient_id="P"),
        image_header(1, patient_id="Q"),
        image_header(2, patient_id=""),
    ]
    assert parts(headers) == {frozenset({0}), frozenset({1}), frozenset({2})}


def test_images_without_any_identifier_stay_with_their_folder() -> None:
    blank = dict.fromkeys(FIELDS, "")
    headers = [image_header(n, folder="ab"[n % 2], **blank) for n in range(4)]
    assert parts(headers) == {frozenset({0, 2}), frozenset({1, 3})}


def test_image_without_series_joins_the_series_of_its_number() -> None:
    headers = [
        image_header(0, series_uid="1.1.1", series_number=1),
        image_header(1, series_uid="1.1.2", series_number=2),
        image_header(2, series_uid="", series_number=2),
        image_header(3, series_uid="", series_number=None),
    ]
    assert parts(headers) == {frozenset({0}), frozenset({1, 2}), frozenset({3})}


def refused(headers: list[FileHeader], min_slices: int = 10) -> tuple[list[Group], list[str]]:
    groups, refusals = refuse_split_series(group_files(headers), min_slices)
    return groups, [refusal.reason for refusal in refusals]


def test_identifiers_for_every_slice_are_one_refusal_that_names_them() -> None:
    for field, name in (("series_uid", "SeriesInstanceUID"), ("study_uid", "StudyInstanceUID")):
        headers = [image_header(n, **{field: f"1.7.{n}"}) for n in range(40)]
        groups, (reason,) = refused(headers)
        assert groups == []
        assert f"expected one {name} for the images of a series, found 40 in 40 images" in reason


def test_single_slices_of_several_patients_stay_apart() -> None:
    headers = [
        image_header(n, patient_id=f"{n}", study_uid=f"1.{n}", series_uid=f"1.{n}.1",
                     frame_of_reference_uid=f"1.{n}.2")
        for n in range(5)
    ]  # fmt: skip
    assert len(refused(headers, min_slices=1)[0]) == 5
    assert len(refused(headers)[0]) == 5


def test_single_slices_of_one_patient_at_several_dates_are_series_where_one_slice_is_enough() -> (
    None
):
    headers = [
        image_header(n, study_uid=f"1.{n}", series_uid=f"1.{n}.1", frame_of_reference_uid=f"1.{n}")
        for n in range(3)
    ]
    assert len(refused(headers, min_slices=1)[0]) == 3
    assert refused(headers)[0] == []
