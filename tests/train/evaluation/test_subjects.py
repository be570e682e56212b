import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import RunError
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.run_subject import RunSubject
from cxr_edge_train.evaluation.subject import Subject
from cxr_edge_train.runs import read_run


@pytest.fixture(params=["run", "bundle"])
def subject(request: pytest.FixtureRequest, trained: Any, golden_bundle: Path) -> Subject:
    if request.param == "run":
        return RunSubject(trained.run)
    return BundleSubject(Bundle.load(golden_bundle))


def test_mean_of_the_activation_map_has_the_sign_of_the_decision(subject: Subject) -> None:
    shape = (3, subject.prepare.spec.height, subject.prepare.spec.width, 1)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    logits = subject.logits(image[np.newaxis] for image in images)
    maps = subject.activation_maps(images)
    assert maps.shape[0] == 3
    assert maps.ndim == 3
    above = logits - subject.operating_point.threshold_logit
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), above, atol=1e-4)


def test_run_is_named_by_its_model(trained: Any) -> None:
    subject = RunSubject(trained.run)
    content = (trained.run / "model.keras").read_bytes()
    assert subject.identity.model_sha256 == hashlib.sha256(content).hexdigest()
    run = read_run(trained.run)
    assert subject.operating_point == run.operating_point


def test_damaged_model_is_one_line(trained: Any, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    (run / "model.keras").write_bytes(b"no model")
    with pytest.raises(RunError, match=r"model\.keras: cannot be loaded"):
        RunSubject(run)
