"""``cxr_edge.score``: what it returns, and what it refuses; the command's tests have the rest."""

import doctest
import shutil
from pathlib import Path

import pytest

import cxr_edge
from cxr_edge.scoring import run
from cxr_edge_runtime.errors import ImageNotFound, InvalidRequest

SAMPLES = Path(__file__).parents[3] / "data" / "samples"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "films").mkdir()
    for film in sorted(SAMPLES.glob("*.jpeg"))[:2]:
        shutil.copy(film, tmp_path / "films")
    monkeypatch.chdir(tmp_path)
    return Path("films")


@pytest.mark.slow
def test_example_of_the_docstring_gives_what_it_says_and_prints_nothing(
    films: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    [example] = doctest.DocTestFinder().find(run.score, "score", globs=vars(run))
    runner = doctest.DocTestRunner()
    runner.run(example)
    assert (runner.failures, runner.tries) == (0, 2)
    totals = []

    def progress(label: str):
        return lambda items, total: (totals.append((label, total)), items)[1]

    again = cxr_edge.score(films, "scores", bundle="tiny", workers=1, progress=progress)
    assert (again.named, again.to_score, again.scored, again.lost) == (2, 0, 0, 0)
    assert totals == [("Scoring", 0)]
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"films": 3}, "films must be a path or URL, not 3"),
        ({"films": ""}, "films must be a path or URL, not ''"),
        ({"output": None}, "output must be a path or URL, not None"),
        ({"workers": 0}, "workers must be a whole number of at least 1, not 0"),
        ({"workers": 1.5}, "workers must be a whole number of at least 1, not 1.5"),
        ({"bundle": 3}, "a bundle must be a name"),
        ({"log": 3}, "log must be a path, not 3"),
        (
            {"address": "nowhere"},
            "nowhere: is not the address of a cluster; give HOST:PORT or auto",
        ),
    ],
)
def test_wrong_request_is_our_error(films: Path, options: dict[str, object], reason: str) -> None:
    given = {"films": films, "output": "scores", "bundle": "tiny"} | options
    with pytest.raises(InvalidRequest, match=reason):
        cxr_edge.score(given.pop("films"), given.pop("output"), **given)


def test_input_without_a_film_is_our_error(films: Path) -> None:
    Path("list.txt").write_text("\n")
    with pytest.raises(ImageNotFound, match=r"list\.txt: names no film"):
        cxr_edge.score("list.txt", "scores", bundle="tiny")
