"""The suite itself: what its speed rests on."""

import pytest


@pytest.mark.xdist_group("suite")
def test_tests_of_one_group_run_in_one_process_and_share_what_they_make(request) -> None:
    """A release of pytest hid the names of groups from xdist: all sets were made twice."""
    if getattr(request.config.option, "loadgroup", False):
        assert request.node.nodeid.endswith("@suite")
