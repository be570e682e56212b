"""A bundle whose model missed a limit does no work unless allowed, and then all of it says so."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxr_edge import Bundle, Classifier, evaluate
from cxr_edge.bundles.install import install
from cxr_edge.bundles.lookup import load_accepted_bundle
from cxr_edge.bundles.packing import pack_bundle
from cxr_edge_runtime.bundle import write_bundle
from cxr_edge_runtime.bundle.manifest import AccuracyLimits, AccuracyLoss, VerificationRecord
from cxr_edge_runtime.errors import BundleRejected, LimitMissed

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
RECORD = VerificationRecord(
    limits=AccuracyLimits(0.5, 0.02, 0.005, 0.98),
    looser=("recall may drop by 0.5 (default 0.01)",),
    loss=AccuracyLoss(0.6, 60, 100, 0.7, 0.0, 0, 100, 0.0, 0.5),
    default_session=None,
    failures=("recall fell by 0.600, limit 0.5: 60 of 100 images, p 1e-18",),
    warnings=("the temperature lies on its bound",),
    processor="x86_64 avx2",
)


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
    with pytest.raises(BundleRejected, match="missed a limit of accuracy when it was converted;"):
        Classifier(tmp_path / "old")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("tiny-rejected", {"failures": ()}),
        ("tiny", {"failures": (), "loss": replace(RECORD.loss, agreement=0.1)}),
        ("tiny", {"failures": (), "loss": replace(RECORD.loss, auc_drop=0.9)}),
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
    assert "missed a limit of accuracy when it was converted (recall fell by" in outcome.err
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
        line.startswith("lost recall 0.6000 (60 of 100 images, limit 0.5), ") for line in lines
    )
    assert "looser recall may drop by 0.5 (default 0.01)" in lines
    assert "rejected recall fell by 0.600, limit 0.5: 60 of 100 images, p 1e-18" in lines
    assert "warning the temperature lies on its bound" in lines


def test_evaluation_of_a_rejected_bundle_says_so(rejected: Path, trained: Any) -> None:
    evaluation = evaluate(rejected, trained.metadata, trained.splits)
    assert "was rejected" in evaluation.warnings[0]
