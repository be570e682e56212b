"""Run the examples in the docstrings of the public API, in a folder where their files exist.

An example is a block of ``>>>`` lines. Every public function must have one.
"""

import doctest
import inspect
import shutil
from pathlib import Path
from typing import Any

import keras
import pytest

import cxr_edge
from synthetic import draw_dataset

# Their examples are run where the films or the log that they read are made.
BESIDE_THEIR_TESTS = {
    "Classifier",
    "calibrate",
    "check_drift",
    "find_suspects",
    "score",
    "train_locator",
}
CONVERTING = {"convert", "import_keras_model"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples_of(name: str) -> list[doctest.DocTest]:
    """The examples of a public name: of a function, or of a class and its public methods."""
    found = getattr(cxr_edge, name)
    return [test for test in doctest.DocTestFinder().find(found, name) if test.examples]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What examples read: a data set ``chest_xray``, and what cleaning and splitting make of it."""
    folder = tmp_path_factory.mktemp("files")
    draw_dataset(folder / "chest_xray", patients=20, test_patients=4)
    cxr_edge.clean(folder / "chest_xray", folder / "clean_metadata.csv")
    cxr_edge.split(folder / "clean_metadata.csv", folder / "splits.csv")
    return folder


@pytest.fixture(scope="module")
def conversion_inputs(tmp_path_factory: pytest.TempPathFactory, trained: Any) -> Path:
    """What converting reads: a run, and a Keras model made elsewhere with its data set."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "data").symlink_to(trained.root / "data")
    (folder / "run").symlink_to(trained.run)
    for file in (trained.metadata, trained.splits):
        shutil.copy(file, folder)
    keras.utils.set_random_seed(3)
    image = keras.Input((32, 32, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    keras.Model(image, keras.layers.Dense(1, "sigmoid")(features)).save(folder / "own.keras")
    return folder


# Whether a name has an example is asked in the test: to ask loads all of the project.
@pytest.mark.parametrize("name", sorted(set(cxr_edge.__all__) - BESIDE_THEIR_TESTS))
def test_examples_print_what_they_show(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = request.getfixturevalue("conversion_inputs" if name in CONVERTING else "files")
    shutil.copytree(files, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    for test in examples_of(name):
        doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    assert not said, "".join(said)


def test_every_public_function_has_an_example() -> None:
    functions = [name for name in cxr_edge.__all__ if inspect.isfunction(getattr(cxr_edge, name))]
    assert functions
    assert [name for name in functions if not examples_of(name)] == []
