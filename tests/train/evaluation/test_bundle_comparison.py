import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.evaluation.bundle_comparison import (
    _compared,
    compare_bundles,
    comparison_lines,
)
from cxr_edge_train.evaluation.bundle_subject import BundleSubject


@pytest.fixture
def bundle(golden_bundle: Path) -> Bundle:
    return Bundle.load(golden_bundle)


def test_a_bundle_agrees_with_itself_and_test_films_are_not_looked_at(
    bundle: Bundle, trained: Any, tmp_path: Path
) -> None:
    found = compare_bundles(bundle, bundle, trained.metadata, output=tmp_path / "out")
    assert (found.n, found.to_positive, found.to_negative) == (1200, 0, 0)
    assert (found.mean_shift, found.largest_shift, found.mcnemar_p) == (0.0, 0.0, 1.0)
    assert found.warnings[:2] == (
        "40 test films left out; measure on test with a log",
        "a bundle does not list the images it was made with; if these are among them, the metrics "
        "are optimistic",
    )
    one, other = found.bundles
    assert one.verdicts == other.verdicts
    assert one.sensitivity == other.sensitivity
    assert one.timing.p50_ms > 0
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == found.as_dict()
    assert not pd.read_csv(tmp_path / "out" / "films.csv")["path"].str.contains("/test/").any()
    assert "40 test films left out" in (tmp_path / "out" / "comparison.html").read_text()


def rows(labels: str, first: str, second: str) -> pd.DataFrame:
    """A film for each sign: ``+``, ``-``, or ``x`` where the gate rejects."""
    names = {"-": "NORMAL", "+": "PNEUMONIA", "x": ""}
    table = pd.DataFrame({"label": [names[sign] for sign in labels]})
    for place, signs in enumerate((first, second), start=1):
        table[f"decision_{place}"] = [names[sign] for sign in signs]
        table[f"verdict_{place}"] = ["rejected" if s == "x" else "accepted" for s in signs]
        table[f"probability_{place}"] = [0.75 if sign == "+" else 0.25 for sign in signs]
    return table


def test_changes_are_counted_in_each_direction_among_films_that_both_answer(
    bundle: Bundle,
) -> None:
    subjects = (BundleSubject(bundle), BundleSubject(bundle))
    found = _compared((bundle, bundle), rows("++--+-", "+--+x-", "-+----"), subjects, ())
    assert (found.n, found.answered) == (6, 5)
    assert (found.to_positive, found.to_negative) == (1, 2)
    assert found.mean_shift == pytest.approx((-0.5 + 0.5 - 0.5) / 5)
    assert found.largest_shift == 0.5
    # Right before: films 1, 3 and 6; after: 2, 3, 4 and 6.
    assert found.mcnemar_p == 1.0
    assert [str(found.bundles[0].verdicts)] == ["{'accepted': 5, 'rejected': 1}"]
    sensitivities = [each.sensitivity.value for each in found.bundles if each.sensitivity]
    assert sensitivities == [0.5, 0.5]
    assert comparison_lines(found)[0] == (
        "5 of 6 films answered by both; the decision changes on 3: 1 become positive, 2 negative."
    )


def test_folder_needs_no_labels_and_unreadable_films_are_counted(
    bundle: Bundle, tmp_path: Path
) -> None:
    films = tmp_path / "films"
    shutil.copytree(Path(__file__).parents[3] / "data" / "samples", films)
    (films / "broken.jpeg").write_text("no film")
    found = compare_bundles(bundle, bundle, films)
    assert found.n == len([path for path in films.iterdir() if path.suffix == ".jpeg"]) - 1
    assert (found.mcnemar_p, found.bundles[0].sensitivity) == (None, None)
    assert found.warnings[0] == "1 film left out (unreadable)"
    with pytest.raises(InvalidRequest, match=r"is or lies in .*films, which is an input"):
        compare_bundles(bundle, bundle, films, output=films / "out")
    (films / "test").mkdir()
    shutil.copy(next(films.glob("*.jpeg")), films / "test")
    with pytest.raises(DatasetError, match="is, contains or lies in a folder named test"):
        compare_bundles(bundle, bundle, films)
    with pytest.raises(DatasetError, match="is, contains or lies in a folder named test"):
        compare_bundles(bundle, bundle, films / "test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="contains no film that can be read"):
        compare_bundles(bundle, bundle, tmp_path / "empty")


def test_output_that_holds_something_else_is_left_alone(
    bundle: Bundle, trained: Any, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InvalidRequest, match="a comparison"):
        compare_bundles(bundle, bundle, trained.metadata, output=tmp_path)
