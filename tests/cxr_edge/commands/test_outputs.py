"""No output of a command replaces what is not its own: films, links, devices, other folders."""

import csv
import hashlib
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge_train.dataset.metadata import SPLIT_COLUMNS
from synthetic import draw_dataset, noisy_gradient


@dataclass(frozen=True)
class Output:
    """An option of a command that names an output.

    Attributes:
        words: the command; ``{name}`` is a file of the sandbox, the output's path comes last.
        name: a name that the command takes.
        folder: the output is a folder.
        shared: a folder that may hold other files, which stay.
        written: the file that is written, where it is not the one that is named.
    """

    words: tuple[str, ...]
    name: str
    folder: bool = False
    shared: bool = False
    written: Callable[[Path], Path] = field(default=lambda path: path)


TABLES = ("{metadata}", "--splits", "{splits}")
OUTPUTS = {
    "clean -o": Output(("clean", "{data}", "-o"), "film.jpeg"),
    "clean, left out": Output(
        ("clean", "{data}", "-o"),
        "film.jpeg",
        written=lambda path: path.with_suffix(".left_out.csv"),
    ),
    "clean, report": Output(
        ("clean", "{data}", "-o"),
        "film.jpeg",
        written=lambda path: path.with_suffix(".report.json"),
    ),
    "split -o": Output(("split", "{metadata}", "-o"), "film.jpeg"),
    "eda -o": Output(("eda", "{metadata}", "-o"), "out", folder=True),
    "train -o": Output(("train", *TABLES, "--weights", "none", "-o"), "out", folder=True),
    "compare -o": Output(
        ("compare", *TABLES, "--weights", "none", "--architectures", "pure_cnn", "-o"),
        "out",
        folder=True,
    ),
    "import -o": Output(
        ("import", "{model}", "--metadata", "{metadata}", "--splits", "{splits}", "-o"),
        "out",
        folder=True,
    ),
    "convert -o": Output(("convert", "{run}", "-o"), "out", folder=True),
    "convert --overwrite -o": Output(("convert", "{run}", "--overwrite", "-o"), "out", folder=True),
    "evaluate -o": Output(("evaluate", "tiny", *TABLES, "-o"), "out", folder=True),
    "classify --csv": Output(("classify", "{film}", "--csv"), "film.csv"),
    "classify --heatmap": Output(
        ("classify", "{film}", "--heatmap"), "out", folder=True, shared=True
    ),
    "classify --log": Output(("classify", "{film}", "--log"), "film.db"),
    "score -o": Output(("score", "{films}", "-o"), "out", folder=True),
    "score --log": Output(("score", "{films}", "-o", "{scores}", "--log"), "film.db"),
    "serve --log": Output(("serve", "--port", "0", "--log"), "film.db"),
    "drift -o": Output(("drift", "{log}", "-o"), "film.png"),
    "pack -o": Output(("pack", "tiny", "-o"), "film.cxr.zip"),
    "install --into": Output(("install", "{archive}", "--unsigned", "--into"), "out", folder=True),
}
FILES = {name for name, output in OUTPUTS.items() if not output.folder}
FOLDERS = OUTPUTS.keys() - FILES


@pytest.fixture(scope="module")
def inputs(
    trained: Any, archives: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "films").mkdir()
    Image.fromarray(noisy_gradient((96, 80), 0)).save(folder / "films" / "film.jpeg")
    (folder / "own.keras").touch()
    return {
        "data": draw_dataset(folder / "data", patients=2, test_patients=1),
        "metadata": trained.metadata,
        "splits": trained.splits,
        "run": trained.run,
        "films": folder / "films",
        "film": folder / "films" / "film.jpeg",
        "model": folder / "own.keras",
        "log": folder / "log.db",
        "scores": folder / "scores",
        "archive": archives.first,
    }


@pytest.fixture
def call(cxr_edge: Any, inputs: dict[str, Path]) -> Callable[[str, Path], Any]:
    def run(name: str, target: Path) -> Any:
        words = (word.format(**inputs) for word in OUTPUTS[name].words)
        return cxr_edge(*words, target)

    return run


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder of which :func:`content` tells all."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def content(folder: Path) -> dict[str, bytes | str]:
    return {
        path.relative_to(folder).as_posix(): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else "folder"
        for path in folder.rglob("*")
    }


def refused(outcome: Any, path: Path) -> None:
    assert (outcome.code, outcome.out) == (2, ""), outcome.err
    *before, last = outcome.err.splitlines()
    assert last.startswith(f"cxr-edge: {path}: ")
    assert before in ([], ["loading TensorFlow"])


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("kind", ["film", "link to a film", "dangling link", "link to a folder"])
def test_film_or_link_in_the_place_of_an_output_stays(
    call: Any, inputs: dict[str, Path], here: Path, name: str, kind: str
) -> None:
    target = here / OUTPUTS[name].name
    written = OUTPUTS[name].written(target)
    elsewhere = here / "elsewhere"
    if kind == "film":
        shutil.copy(inputs["film"], written)
    else:
        if kind == "link to a film":
            shutil.copy(inputs["film"], elsewhere)
        elif kind == "link to a folder":
            elsewhere.mkdir()
        written.symlink_to(elsewhere)
    before = content(here)
    refused(call(name, target), written)
    assert content(here) == before


@pytest.mark.parametrize("name", OUTPUTS)
def test_folder_with_a_film_in_the_place_of_an_output_stays(
    call: Any, inputs: dict[str, Path], here: Path, name: str
) -> None:
    target = here / OUTPUTS[name].name
    written = OUTPUTS[name].written(target)
    written.mkdir()
    shutil.copy(inputs["film"], written / "film.jpeg")
    before = content(here)
    outcome = call(name, target)
    if OUTPUTS[name].shared:
        assert outcome.code == 0, outcome.err
        assert before.items() <= content(here).items()
    else:
        refused(outcome, written)
        assert content(here) == before


@pytest.mark.parametrize("name", OUTPUTS)
def test_place_below_a_film_or_where_nothing_can_be_written_is_refused(
    call: Any, inputs: dict[str, Path], here: Path, name: str
) -> None:
    shutil.copy(inputs["film"], here / "film.jpeg")
    before = content(here)
    for place in (here / "film.jpeg", Path("/proc"), Path("/proc/new")):
        target = place / OUTPUTS[name].name
        refused(call(name, target), target)
    assert content(here) == before


@pytest.mark.parametrize("name", sorted(OUTPUTS.keys() - {"drift -o", "pack -o"}))
@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_device_is_no_output(call: Any, name: str, device: str) -> None:
    refused(call(name, Path(device)), Path(device))


@pytest.mark.parametrize("name", sorted(OUTPUTS.keys() - {"split -o", "classify --csv"}))
def test_standard_output_is_refused_where_it_makes_no_sense(call: Any, name: str) -> None:
    refused(call(name, Path("/dev/stdout")), Path("/dev/stdout"))
    assert not list(Path("/dev").glob("stdout.*"))


@pytest.mark.parametrize("stdout", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_splits_go_to_standard_output_and_the_counts_to_the_other(
    call: Any, trained: Any, stdout: str
) -> None:
    outcome = call("split -o", Path(stdout))
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[0] == ",".join(SPLIT_COLUMNS)
    assert outcome.out == trained.splits.read_text()
    assert "validation  PNEUMONIA     100" in outcome.err


def test_results_go_to_standard_output_and_the_table_to_the_other(
    cxr_edge: Any, call: Any, inputs: dict[str, Path]
) -> None:
    outcome = call("classify --csv", Path("/dev/stdout"))
    assert outcome.code == 0, outcome.err
    [row] = csv.DictReader(io.StringIO(outcome.out))
    assert row["file"] == str(inputs["film"])
    assert "label      probability" in outcome.err
    outcome = cxr_edge("classify", inputs["film"], "--json", "--csv", "/dev/stdout")
    assert (outcome.code, outcome.out) == (2, "")
    assert "would both write to standard output; choose one" in outcome.err


def test_film_in_the_place_of_a_heat_map_stays(
    cxr_edge: Any, inputs: dict[str, Path], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inputs["films"])
    digest = hashlib.sha256(inputs["film"].read_bytes()).hexdigest()
    picture = here / f"film.jpeg.{digest[:8]}.heatmap.png"
    shutil.copy(inputs["film"], picture)
    outcome = cxr_edge("classify", "film.jpeg", "--force", "--heatmap", here)
    assert outcome.code == 3
    assert f"{picture}: already exists and is not a heat map" in outcome.err
    assert picture.read_bytes() == inputs["film"].read_bytes()


@pytest.mark.parametrize("command", ["eda", "evaluate", "compare", "train"])
def test_folder_of_a_run_is_no_output_for_others(
    call: Any, inputs: dict[str, Path], here: Path, command: str
) -> None:
    run = Path(shutil.copytree(inputs["run"], here / "run"))
    before = content(here)
    refused(call(f"{command} -o", run), run)
    assert content(here) == before


@pytest.mark.parametrize("command", [("convert",), ("evaluate", *TABLES)])
def test_output_in_the_run_that_is_read_is_refused(
    cxr_edge: Any, inputs: dict[str, Path], here: Path, command: tuple[str, ...]
) -> None:
    run = Path(shutil.copytree(inputs["run"], here / "run"))
    before = content(here)
    name, *more = (word.format(**inputs) for word in command)
    refused(cxr_edge(name, run, *more, "-o", run / "out"), run / "out")
    assert content(here) == before


def test_output_in_the_bundle_that_is_read_is_refused(
    cxr_edge: Any, inputs: dict[str, Path], here: Path
) -> None:
    bundle = Path(shutil.copytree(load_bundle("tiny").path, here / "bundle"))
    before = content(here)
    tables = (word.format(**inputs) for word in TABLES)
    refused(cxr_edge("evaluate", bundle, *tables, "-o", bundle / "out"), bundle / "out")
    assert content(here) == before


def test_metadata_is_not_written_among_the_films(call: Any, inputs: dict[str, Path]) -> None:
    before = content(inputs["data"])
    output = inputs["data"] / "train" / "NORMAL" / "m.csv"
    refused(call("clean -o", output), output)
    assert content(inputs["data"]) == before


@pytest.mark.parametrize("name", ["report.html", "report.md", "report.csv"])
@pytest.mark.parametrize("kind", ["film", "link"])
def test_film_in_the_place_of_a_report_stays(
    cxr_edge: Any, conversion: Path, inputs: dict[str, Path], here: Path, name: str, kind: str
) -> None:
    folder = Path(shutil.copytree(conversion, here / "out"))
    (folder / name).unlink()
    shutil.copy(inputs["film"], here / "film.jpeg")
    if kind == "film":
        shutil.copy(inputs["film"], folder / name)
    else:
        (folder / name).symlink_to(here / "film.jpeg")
    before = content(here)
    refused(cxr_edge("report", folder), folder / name)
    assert content(here) == before


@pytest.fixture(scope="module")
def conversion(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    import cxr_edge
    from cxr_edge_convert.bundling import output_folder
    from cxr_edge_runtime.device.inference_timing import Timing

    folder = tmp_path_factory.mktemp("conversion") / "out"
    once = Timing(1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
        patch.setattr(output_folder, "measure", lambda folder, threads: [once, once])
        cxr_edge.convert(inputs["run"], folder)
    return folder


@pytest.mark.parametrize("name", ["clean -o", "split -o", "eda -o", "evaluate -o"])
def test_own_earlier_output_is_written_again(call: Any, here: Path, name: str) -> None:
    target = here / "out"
    for _ in range(2):
        outcome = call(name, target)
        assert outcome.code == 0, outcome.err
