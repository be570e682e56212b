from pathlib import Path

from cxr_edge.bundles.folder import BundleFolder


def test_next_number_was_given_to_no_bundle_that_is_there_or_was_begun_or_used(
    tmp_path: Path,
) -> None:
    bundles = BundleFolder(tmp_path)
    assert (bundles.numbers(), bundles.next_number()) == ([], 1)
    for name in ("0002", ".going-0003", "0005x", "notes"):
        (tmp_path / name).mkdir()
    assert (bundles.numbers(), bundles.next_number()) == ([2], 4)
    (tmp_path / ".new-0004").mkdir()
    assert bundles.next_number() == 5
    bundles.switch(7)
    assert (bundles.current_number(), bundles.current(), bundles.next_number()) == (7, None, 8)


def test_numbers_go_on_beyond_four_digits(tmp_path: Path) -> None:
    bundles = BundleFolder(tmp_path)
    bundles.path_of(9_999).mkdir()
    assert bundles.path_of(bundles.next_number()).name == "10000"
    bundles.path_of(10_000).mkdir()
    bundles.switch(10_000)
    assert (bundles.current_number(), bundles.next_number()) == (10_000, 10_001)
