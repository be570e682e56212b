"""A bundle whose model missed a limit does no work unless allowed, and then all of it says so."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cxr_edge import Bundle, Classifier, evaluate
from cxr_edge.bundles.install import install, roll_back
from cxr_edge.bundles.lookup import load_accepted_bundle
from cxr_edge.bundles.notice import own_words
from cxr_edge.bundles.packing import pack_bundle
from cxr_edge.scoring.run import ScoreResult
from cxr_edge.serving import server
from cxr_edge_convert.bundling.model_card import model_card
from cxr_edge_runtime.bundle import describe_files, write_bundle
from cxr_edge_runtime.bundle.manifest import (
    CARD_FILE,
    LIMITS_HEADING,
    AccuracyLimits,
    AccuracyLoss,
    VerificationRecord,
)
from cxr_edge_runtime.device import throughput
from cxr_edge_runtime.errors import BundleRejected, LimitMissed
from installable import make_archive

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
RECORD = VerificationRecord(
    limits=AccuracyLimits(0.5, 0.02, 0.005, 0.98),
    looser=("recall may drop by 0.5 (default 0.01)",),
    loss=AccuracyLoss(0.6, 60, 100, 0.7, 0.0, 0, 100, 0.0, 0.5),
    default_session=None,
    failures=("recall fell by 0.600, limit 0.5: 60 of 100 images, p 1e-18",),
    warnings=("the temperature is at its limit",),
    processor="x86_64 avx2",
)
# Where agreement and AUC keep their limits.
LIMITS = AccuracyLimits(0.01, 0.02, 0.005, 0.1)
NOTHING = AccuracyLoss(0.0, 0, 100, 0.03, 0.0, 0, 100, 0.0, 1.0)
LESS_SPECIFIC = replace(NOTHING, specificity_drop=0.03, specificity_lost=3)


@pytest.fixture(scope="module")
def rejected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped tiny bundle, as if it had missed a limit."""
    bundle = load_accepted_bundle("tiny")
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    folder = tmp_path_factory.mktemp("bundles") / "rejected"
    manifest = replace(bundle.manifest, name="tiny-rejected", verification=RECORD)
    write_bundle(folder, manifest, contents)
    return folder


def test_rejected_bundle_is_refused_with_the_reason(rejected: Path) -> None:
    with pytest.raises(BundleRejected, match=r"recall fell by 0\.600.*use one that passed"):
        Classifier(rejected)


def test_rejected_bundle_of_an_earlier_version_is_known_by_its_name(
    rejected: Path, tmp_path: Path
) -> None:
    bundle = Bundle.load(rejected)
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    write_bundle(tmp_path / "old", replace(bundle.manifest, verification=None), contents)
    with pytest.raises(BundleRejected, match="missed an accuracy limit when it was converted;"):
        Classifier(tmp_path / "old")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("tiny-rejected", {"failures": ()}),
        ("tiny", {"failures": (), "loss": replace(RECORD.loss, agreement=0.1)}),
        ("tiny", {"failures": (), "loss": replace(RECORD.loss, auc_drop=0.9)}),
        ("tiny", {"failures": (), "loss": RECORD.loss, "limits": LIMITS}),
        ("tiny", {"failures": (), "loss": LESS_SPECIFIC, "limits": LIMITS}),
        (
            "tiny",
            {"failures": (), "loss": NOTHING, "limits": LIMITS, "default_session": LESS_SPECIFIC},
        ),
    ],
)
def test_record_that_contradicts_itself_is_rejected(
    rejected: Path, tmp_path: Path, name: str, changed: dict[str, Any]
) -> None:
    bundle = Bundle.load(rejected)
    contents = {file: bundle.read(file) for file in bundle.manifest.files}
    manifest = replace(bundle.manifest, name=name, verification=replace(RECORD, **changed))
    write_bundle(tmp_path / "edited", manifest, contents)
    with pytest.raises(BundleRejected):
        Classifier(tmp_path / "edited")


def test_every_prediction_of_an_allowed_one_says_so(rejected: Path) -> None:
    classifier = Classifier(rejected, allow_rejected=True)
    film = next(SAMPLES.glob("*.jpeg"))
    assert "was rejected" in classifier.classify(film).warnings[0]


def test_packing_and_installing_need_the_permission_too(
    rejected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "one.cxr.zip"
    with pytest.raises(BundleRejected):
        pack_bundle(str(rejected), archive)
    assert not archive.exists()
    pack_bundle(str(rejected), archive, allow_rejected=True)
    with pytest.raises(BundleRejected):
        install(archive, tmp_path / "installed", check=None)
    assert not (tmp_path / "installed").exists()

    def smoke_test(folder: Path) -> None:
        raise LimitMissed("came as far as the smoke test")

    with pytest.raises(LimitMissed):
        install(
            archive, tmp_path / "installed", check=None, allow_rejected=True, smoke_test=smoke_test
        )


@pytest.mark.parametrize(
    "command",
    [
        ["classify", "film.jpeg", "--bundle", "rejected"],
        ["serve", "--port", "0", "--bundle", "rejected"],
        ["score", "films", "-o", "scores", "--bundle", "rejected"],
        ["pack", "rejected", "-o", "one.cxr.zip"],
    ],
    ids=lambda command: command[0],
)
def test_command_refuses_it(
    cxr_edge: Any,
    rejected: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(next(SAMPLES.glob("*.jpeg")), "film.jpeg")
    Path("films").mkdir()
    Path("rejected").symlink_to(rejected)
    outcome = cxr_edge(*command)
    assert outcome.code == 1
    assert (
        'missed an accuracy limit when it was converted (the bundle says: "recall fell'
        in outcome.err
    )
    assert {path.name for path in tmp_path.iterdir()} == {"film.jpeg", "films", "rejected"}


def test_command_that_is_allowed_to_says_so_in_its_json(cxr_edge: Any, rejected: Path) -> None:
    film = next(SAMPLES.glob("*.jpeg"))
    outcome = cxr_edge("classify", "--json", film, "--bundle", rejected, "--allow-rejected")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["bundle"]["name"] == "tiny-rejected"
    assert any("was rejected" in warning for warning in result["warnings"])


@pytest.mark.parametrize("command", ["info", "verify"])
def test_limits_losses_and_reasons_are_shown(cxr_edge: Any, rejected: Path, command: str) -> None:
    outcome = cxr_edge(command, rejected)
    assert outcome.code == 0, outcome.err
    lines = {" ".join(line.split()) for line in outcome.out.splitlines()}
    assert any(
        line.startswith("lost recall 0.6000 (60 of 100 images net, limit 0.5), ") for line in lines
    )
    assert any("agreement 0.5000 (100 of 200 changed, limit 0.98);" in line for line in lines)
    assert f"looser {own_words(RECORD.looser[0])}" in lines
    assert f"rejected {own_words(RECORD.failures[0])}" in lines
    assert f"warning {own_words(RECORD.warnings[0])}" in lines


def test_evaluation_of_a_rejected_bundle_says_so(rejected: Path, trained: Any) -> None:
    evaluation = evaluate(rejected, trained.metadata, trained.splits)
    assert "was rejected" in evaluation.warnings[0]


def test_info_shows_each_limit_and_warning_once_and_without_markdown(
    cxr_edge: Any, rejected: Path, tmp_path: Path
) -> None:
    bundle = Bundle.load(rejected)
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    card = model_card(bundle.manifest, {LIMITS_HEADING: "- It is **small**.\n"}).encode()
    contents[CARD_FILE] = card.replace(b"lies on", b"lies\n  on")  # cards break their lines
    write_bundle(
        tmp_path / "carded", replace(bundle.manifest, files=describe_files(contents)), contents
    )
    outcome = cxr_edge("info", tmp_path / "carded")
    assert outcome.code == 0, outcome.err
    for words in (*RECORD.looser, *RECORD.failures, *RECORD.warnings):
        assert outcome.out.count(words) == 1, words
    assert f"limit      {own_words('It is small.')}" in outcome.out.splitlines()
    assert (
        'limit      the bundle says: "Expect it to be at best as good on your images' in outcome.out
    )


WARNING = (
    "warning: bundle tiny-rejected: its model missed an accuracy limit when it was converted "
    f"({own_words(RECORD.failures[0])})"
)


@pytest.fixture
def archive(rejected: Path, tmp_path: Path) -> Path:
    return make_archive(Bundle.load(rejected), tmp_path / "one.cxr.zip")


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("command", ["selftest", "benchmark"])
def test_what_needs_no_permission_says_so(
    cxr_edge: Any, rejected: Path, monkeypatch: pytest.MonkeyPatch, command: str, as_json: bool
) -> None:
    monkeypatch.setattr(throughput, "_ENOUGH_S", 0.0)
    outcome = cxr_edge(command, rejected, *(["--json"] if as_json else []))
    assert outcome.code == 0, outcome.err
    assert outcome.err.splitlines() == [WARNING]
    if as_json:
        assert json.loads(outcome.out)["rejected"] == WARNING.removeprefix("warning: ")


def test_packing_and_installing_say_so(
    cxr_edge: Any, rejected: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cxr_edge("pack", rejected, "-o", "two.cxr.zip", "--allow-rejected")
    assert (outcome.code, outcome.err.splitlines()) == (0, [WARNING])
    into = ("--unsigned", "--into", "bundles", "--allow-rejected")
    outcome = cxr_edge("install", archive, *into)
    assert (outcome.code, outcome.err.splitlines()) == (0, [WARNING])


def test_scoring_says_so(
    cxr_edge: Any, rejected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scored(*_: Any, **__: Any) -> ScoreResult:
        return ScoreResult(Bundle.load(rejected), "scores", 1, 1, 1, 0, 0, None)

    monkeypatch.setattr("cxr_edge.score", scored)
    outcome = cxr_edge("score", "films", "-o", "scores", "--bundle", rejected, "--allow-rejected")
    assert (outcome.code, outcome.err.splitlines()) == (0, [WARNING])


def test_server_says_so_when_it_starts_and_when_asked_for_its_model(
    cxr_edge: Any, rejected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(app: Any, listening: Any, **_: Any) -> None:
        with TestClient(app, base_url="http://localhost") as client:
            model = client.get("/v1/model").json()
        assert model["rejected"] is True
        assert model["failures"] == list(RECORD.failures)
        assert model["looser_limits"] == list(RECORD.looser)
        assert model["warnings"] == list(RECORD.warnings)

    monkeypatch.setattr(server, "run", ask)
    outcome = cxr_edge("serve", "--port", 0, "--bundle", rejected, "--allow-rejected")
    assert outcome.code == 0, outcome.err
    assert outcome.err.splitlines()[0] == WARNING


def test_going_back_to_one_needs_the_permission_too(
    cxr_edge: Any, archive: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundles"
    good = make_archive(load_accepted_bundle("tiny"), tmp_path / "good.cxr.zip")
    for one in (archive, good):
        install(one, folder, check=None, allow_rejected=True, smoke_test=lambda _: None)
    with pytest.raises(BundleRejected, match="use one that passed, or allow rejected bundles"):
        roll_back(folder)
    outcome = cxr_edge("install", "--rollback", "--into", folder)
    assert outcome.code == 1
    assert str((folder / "current").readlink()) == "0002"
    outcome = cxr_edge("install", "--rollback", "--into", folder, "--allow-rejected")
    assert (outcome.code, outcome.err.splitlines()) == (0, [WARNING])
    assert str((folder / "current").readlink()) == "0001"
