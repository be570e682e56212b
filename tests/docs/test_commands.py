"""Every page of README.md and docs/ is followed word for word, its commands in one folder.

At the start the folder has what the reader brings: what a command reads before a command above it
has made it. The networks are tiny and the recipes short: what is tested is that the commands can be
typed as they stand. What cannot be run here stands in :data:`NOT_RUN` with the reason; its options
are checked.
"""

import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

import dicom_files
from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.cli import main
from cxr_edge.monitoring.prediction_log import LoggedFilm, PredictionLog
from cxr_edge_convert.bundling import output_folder as writing
from cxr_edge_runtime.bundle.reference import VerifiedPredictions
from cxr_edge_runtime.device import throughput as benchmarking
from cxr_edge_runtime.device.inference_timing import Timing
from cxr_edge_train import architectures
from cxr_edge_train.comparison import plan as comparison_plan
from cxr_edge_train.fitting import task
from documented_commands import PAGES, ROOT, Command, all_commands, blocks, commands_of
from locators import make_locator
from scripts import load_script
from synthetic import draw_dataset, noisy_gradient
from tiny_model import tiny_backbone

# A pattern of the line, and why it is not run.
NOT_RUN = {
    r"^cxr-edge watch": "does not end; tests/cxr_edge/watching run it",
    r"^cxr-edge serve": "does not end; tests/cxr_edge/serving run it",
    r"--address": "needs a cluster",
    r"^cxr-edge train-locator": "needs masks; tests/cxr_edge/commands run it",
    r"^cxr-edge score": "Ray takes long to start; tests/cxr_edge/commands/test_score.py runs it",
    r"^KERAS_BACKEND=": "another backend is another process; tests/train run it",
    r"--(install|show)-completion": "is about the shell that it is typed in",
    r"/opt/cxr-edge/": "is about another machine",
    r"--format both .*--accuracy-control": "takes long; its options are run apart",
}

# What a page leaves to the reader to fill in, by the option before it.
PLACEHOLDERS = {
    ("--recipe", "FILE"): "recipe.toml",
    ("--weights", "FILE"): "weights.h5",
    ("--not-films", "DIR"): "not-films",
    ("--calibration-dir", "DIR"): "films",
    ("--metadata", "…"): "clean_metadata.csv",
    ("--splits", "…"): "splits.csv",
    ("train", "…"): "clean_metadata.csv",
    ("convert", "RUN"): "run",
}

# The five architectures' names, all a network that is fitted in a second.
TINY = {
    name: replace(known, backbone=tiny_backbone)
    for name, known in architectures.ARCHITECTURES.items()
}
FILMS = ("image.jpeg", "film.jpeg", "other.png", "a.jpeg", "b.jpeg")
FOLDERS = ("images", "films", "folder", "archive", "not-films")
OUTPUTS = ("-o", "--output")


def names(command: Command) -> str:
    return f"{command.page}: {command.line}"


COMMANDS = all_commands()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory, trained: Any) -> Iterator[Path]:
    """A folder with every file that the pages name."""
    folder = tmp_path_factory.mktemp("sandbox")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
        patch.setenv("XDG_DATA_HOME", str(folder / "data-home"))
        make_sandbox(folder, trained)
        yield folder


def make_sandbox(folder: Path, pipeline: Any) -> None:
    """Fill the working directory; ``pipeline`` is the drawn data set after training."""
    Path("chest_xray").symlink_to(pipeline.root / "data")
    for file in (pipeline.metadata, pipeline.splits):
        text = file.read_text().replace("data/", "chest_xray/")
        (folder / file.name).write_text(text)
    shutil.copytree(pipeline.run, "run")
    for path in ("data/samples", "models/recipes", "docs/results/architectures/recipes"):
        shutil.copytree(ROOT / path, path)
    # The shipped one finds no lungs in the films that are drawn here.
    make_locator(Path("models/float/lung-locator"))
    for place, name in enumerate(FILMS):
        film(Path(name), place)
    for name in FOLDERS:
        for place in range(4):
            film(Path(name, f"{place}.jpeg"), place)
    for place in range(60):
        blot(Path("our-films", f"{place}.png"), place)
    for path in sorted(draw_dataset(Path("my-films"), patients=300, test_patients=10).rglob("*.*")):
        path.rename(path.with_stem(path.stem.replace("_", "-") + "_1"))
    of_a_site(Path("adults"))
    study = {"StudyInstanceUID": "1.2.5", "SeriesInstanceUID": "1.2.4"}
    Path("film.dcm").write_bytes(dicom_files.written(**study))
    Path("recipe.toml").write_text("[fit]\nepochs = 1\n")
    own_model(Path("own.keras"))
    weights = (word for command in COMMANDS for word in command.words if word.endswith(".h5"))
    for name in ("weights.h5", *(word.partition("=")[2] or word for word in weights)):
        Path(name).touch()
    log_of_films(Path("log.db"))
    make_keys()
    own = ("--metadata", "clean_metadata.csv", "--splits", "splits.csv", "--scaling", "0-1")
    assert run("import", "own.keras", *own, "-o", "own-run") == 0
    assert run("convert", "run", "--int8", "--format", "both", "-o", "bundles") == 0
    shutil.copytree("bundles/int8", "my-bundle")
    # What a device has before another bundle comes, and one that the page on exit codes names.
    assert run("pack", "mobilenetv2-int8", "--sign", "key.pem", "-o", "other.cxr.zip") == 0
    assert run("pack", "tiny", "--sign", "key.pem", "-o", "clinic.cxr.zip") == 0


def of_a_site(folder: Path) -> None:
    """Films in which the shipped model finds lungs, in one folder with a table of labels."""
    load_script("data/make_phantoms.py").write_dataset(Path("phantoms"), share=0.09)
    folder.mkdir()
    lines = ["path,label,patient,sex"]
    for place, path in enumerate(sorted(Path("phantoms").rglob("*.jpeg"))):
        lines.append(f"{place}.jpeg,{path.parent.name},p{place // 2},{'FM'[place % 2]}")
        path.rename(folder / f"{place}.jpeg")
    (folder / "labels.csv").write_text("\n".join(lines))


def film(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noisy_gradient((96, 96), seed)).save(path)


def blot(path: Path, seed: int) -> None:
    """A picture that resembles no other."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(path)


def own_model(path: Path) -> None:
    """A model made elsewhere: how bright the middle is."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 1))
    middle = keras.layers.Cropping2D(12)(image)
    features = keras.layers.Conv2D(8, 3, activation="relu")(middle)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(pooled))
    kernel, bias = model.layers[2].get_weights()
    kernel[..., 0] = 1 / 9
    model.layers[2].set_weights([kernel, bias])
    weights = np.zeros((8, 1), np.float32)
    weights[0] = 40
    model.layers[-1].set_weights([weights, np.array([-28], np.float32)])
    model.save(path)


def log_of_films(path: Path) -> None:
    """Targets of this spring and of this month, as on validation."""
    bundle = load_bundle(None)
    mixed = VerifiedPredictions.of_bundle(bundle).mixed(0.2)
    random = np.random.default_rng(0)
    films = []
    for number in range(800):
        day = "2026-05-01" if number < 400 else "2026-11-20"
        probability, distance = random.choice(mixed.probabilities), random.choice(mixed.distances)
        films.append(
            LoggedFilm(
                f"{number:064x}", bundle.digest, "accepted", float(distance), float(probability),
                f"{day}T12:00:00Z",
            )
        )  # fmt: skip
    log = PredictionLog(path)
    log.append(films)
    log.close()


def make_keys() -> None:
    key = Ed25519PrivateKey.generate()
    Path("key.pem").touch(mode=0o600)
    Path("key.pem").write_bytes(
        key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    )
    Path("key.pub.pem").write_bytes(
        key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    )


def run(*words: str) -> int:
    """Call the command line in this process; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cxr-edge", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return ended.value.code if isinstance(ended.value.code, int) else 0


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes are read as they stand and then made small; nothing is timed for long."""
    as_carried_out = task.recipe_for

    def shortened(weights: str | None, recipe: Any) -> Any:
        recipe = replace(
            recipe,
            model=replace(recipe.model, image_size=32),
            fit=replace(
                recipe.fit, epochs=2, head_epochs=0, batch_size=50, learning_rate=3e-3,
                weight_average=0.0,
            ),
        )  # fmt: skip
        return as_carried_out(weights, recipe)

    for module in (architectures, comparison_plan):
        monkeypatch.setattr(module, "ARCHITECTURES", TINY)
    monkeypatch.setattr(task, "recipe_for", shortened)
    monkeypatch.setattr(benchmarking, "_ENOUGH_S", 0.0)
    once = Timing(1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    monkeypatch.setattr(writing, "measure", lambda folder, threads: [once, once])


def reason(command: Command) -> str:
    return next((why for line, why in NOT_RUN.items() if re.search(line, command.line)), "")


def filled_in(command: Command) -> tuple[str, ...]:
    """The words of a command with what the reader has to fill in."""
    pairs = itertools.pairwise(("", *command.words))
    return tuple(PLACEHOLDERS.get(pair, pair[1]) for pair in pairs)


def runnable(page: Path) -> list[Command]:
    """The commands of a page that are run here; of the same line once is enough."""
    commands = [command for command in commands_of(page) if not reason(command)]
    return list({command.line: command for command in commands}.values())


def converts(page: Path) -> bool:
    """Whether a page trains or converts, which takes most of a minute; .ci/full follows it."""
    long = ("convert", "train", "compare", "import")
    return any(command.words[0] in long for command in runnable(page))


FOLLOWED = [
    pytest.param(
        page,
        id=page.relative_to(ROOT).as_posix(),
        marks=pytest.mark.slow if converts(page) else (),
    )
    for page in PAGES
    if runnable(page)
]


@pytest.mark.parametrize("page", FOLLOWED)
def test_page_can_be_followed_word_for_word_in_one_folder(
    page: Path, sandbox: Path, small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    lines = [filled_in(command) for command in runnable(page)]
    lay_out(sandbox, tmp_path, made_here(lines))
    if any("--rollback" in words for words in lines):
        # A device that has a bundle to go back to.
        assert run("install", str(sandbox / "other.cxr.zip"), "--key", "key.pub.pem") == 0
    for words in lines:
        if words[0] == "compare":
            compare_few(monkeypatch, words)
        capfd.readouterr()
        code = run(*words)
        assert code == 0, f"cxr-edge {' '.join(words)}: {capfd.readouterr().err}"


def made_here(lines: Sequence[Sequence[str]]) -> set[str]:
    """The outputs that a page makes before it reads them."""
    made: set[str] = set()
    read: set[str] = set()
    for words in lines:
        pairs = list(itertools.pairwise(words))
        written = {word for before, word in pairs if before in OUTPUTS}
        read |= {Path(word).parts[0] for before, word in pairs if word and before not in OUTPUTS}
        made |= {word for word in written if Path(word).parts[0] not in read}
    return made


def lay_out(sandbox: Path, folder: Path, without: Collection[str]) -> None:
    """Copies of what the pages name."""
    for entry in sandbox.iterdir():
        if entry.name in without or entry.name == "data-home":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, folder / entry.name)
        else:
            shutil.copy(entry, folder, follow_symlinks=False)


def compare_few(monkeypatch: pytest.MonkeyPatch, words: Sequence[str]) -> None:
    """Let ``compare`` have the architectures that its options name, or two."""
    named = {part.partition("=")[0] for word in words for part in word.split(",")} & set(TINY)
    compared = {name: TINY[name] for name in named or list(TINY)[:2]}
    for module in (architectures, comparison_plan):
        monkeypatch.setattr(module, "ARCHITECTURES", compared)


EXAMPLES = re.findall(
    r"^\| `cxr-edge ([^`]+)` \| (\d) \|",
    (ROOT / "docs/reference/exit-codes.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(("line", "code"), EXAMPLES)
def test_example_of_the_page_on_exit_codes_ends_as_it_says(
    line: str, code: str, sandbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    lay_out(sandbox, tmp_path, without=())
    assert run(*line.split()) == int(code)


def test_page_on_exit_codes_has_an_example_of_each_but_signals() -> None:
    assert {code for _, code in EXAMPLES} == {"0", "1", "2", "3", "4"}


def test_all_commands_were_found() -> None:
    """A line of a block that the search misses would not be tested."""
    for page in PAGES:
        text = "\n".join(blocks(page.read_text(encoding="utf-8")))
        shown = re.findall(r"^(?:\$ )?(cxr-edge [a-z][a-z-]*)", text, re.MULTILINE)
        found = [" ".join(["cxr-edge", *command.words[:1]]) for command in commands_of(page)]
        assert set(shown) <= set(found), page.name
    assert sum(len(runnable(page)) for page in PAGES) > 60


_HELP: dict[str, set[str]] = {}


def options_of(command: str) -> set[str]:
    if command not in _HELP:
        line = [sys.executable, "-m", "cxr_edge", *([command] if command else []), "--help"]
        shown = subprocess.run(line, capture_output=True, text=True, check=True).stdout
        _HELP[command] = set(re.findall(r"(?<!\S)--?[a-z][a-z0-9-]*", shown))
    return _HELP[command]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_option_that_a_page_gives_a_command_exists(page: Path) -> None:
    """Also in sentences, in tables, and behind ``ssh`` and ``sudo``."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for command, rest in re.findall(r"cxr-edge ([a-z][a-z-]*)([^\n`'|&;>)]*)", text):
        used = set(re.findall(r"(?<!\S)--?[a-z][a-z0-9-]*", rest))
        if used:
            assert used <= options_of(command), f"{page.name}: cxr-edge {command}{rest}"
