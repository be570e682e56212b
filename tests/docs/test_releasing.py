"""RELEASING.md, the check of a release, and the workflow that runs it."""

import shutil
from pathlib import Path

import pytest
import yaml

from scripts import ROOT, load_script

CHECK = load_script(".ci/check_release.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that a release is checked by, as they are for version 0.2.0."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    (tmp_path / "CITATION.cff").write_text("version: 0.2.0\n")
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## 0.2.0, 2027-01-31\n\n- New.\n\n## 0.1.0, 2026-12-01\n\n- Old.\n"
    )
    return tmp_path


def test_release_whose_parts_agree_has_no_problem(project: Path) -> None:
    assert CHECK.problems("v0.2.0", project) == []
    assert CHECK.notes(project) == "- New."


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("pyproject.toml", "0.2.0", "0.3.0", "the tag is v0.2.0, but pyproject.toml has version"),
        ("CHANGELOG.md", "2027-01-31", "unreleased", "CHANGELOG.md says that 0.2.0 is unreleased"),
        ("CHANGELOG.md", "0.2.0", "0.2.1", "CHANGELOG.md does not begin with ## 0.2.0, followed"),
        ("CITATION.cff", "0.2.0", "0.1.0", "CITATION.cff does not have version: 0.2.0"),
    ],
)
def test_what_does_not_agree_is_said(
    project: Path, file: str, before: str, after: str, said: str
) -> None:
    path = project / file
    path.write_text(path.read_text().replace(before, after, 1))
    assert any(sentence.startswith(said) for sentence in CHECK.problems("v0.2.0", project))


def test_files_of_this_project_have_the_form_that_is_checked(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CHANGELOG.md", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    [problem] = CHECK.problems("v0.2.0", tmp_path)  # until it is released
    assert "unreleased: write the date" in problem
    assert CHECK.notes(tmp_path).startswith("- ")


def test_workflow_checks_builds_and_leaves_publishing_to_a_person() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    steps = [step.get("run", "") for step in yaml.safe_load(text)["jobs"]["build"]["steps"]]
    commands = "\n".join(steps)
    for needed in (
        "check_release.py", ".ci/run", "python -m build", "MODEL_CARD.md", "SHA256SUMS", "--draft",
    ):  # fmt: skip
        assert needed in commands
    assert len((ROOT / "RELEASING.md").read_text(encoding="utf-8").splitlines()) < 60
