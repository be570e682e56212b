"""What a bundle writes of itself is refused, or read out as its own words."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cxr_edge.bundles.notice import notice_of, own_words, quoted
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import NOTICE
from false_bundles import FALSE_NOTICE, FALSE_SIGNATURE, false_bundle
from synthetic import noisy_gradient

LINE = f"\n{FALSE_SIGNATURE}"
ESCAPE = f"\x1b[2K\x1b[1A{FALSE_SIGNATURE}"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("notice", FALSE_NOTICE, f'notice must be "{NOTICE}"'),
        ("notice", f"{NOTICE}{LINE}", f'notice must be "{NOTICE}"'),
        ("name", f"tiny{LINE}", "name must be a name of at most 128"),
        ("name", f"tiny {FALSE_SIGNATURE}", "name must be a name of at most 128"),
        ("name", f"tiny{ESCAPE}", "name must be a name of at most 128"),
        ("version", f"1{LINE}", "version must be a version: a digit, then"),
        ("task", f"any{LINE}", "task must be one line"),
        ("labels", ["NORMAL", f"PNEUMONIA{LINE}"], r"labels[1] must be"),
        ("labels", ["", "PNEUMONIA"], r"labels[0] must be at most 32"),
        ("threshold.rule", f"best{LINE}", "threshold.rule must be one line"),
        ("threshold.rule", ESCAPE, "threshold.rule must be text that can be printed"),
        ("threshold.chosen_on", f"validation{LINE}", "threshold.chosen_on must be a name"),
        ("training.architecture", f"net{LINE}", "training.architecture must be a name"),
        ("training.weights", f"none{LINE}", "training.weights must be one line"),
        ("verification.warnings", [f"none{LINE}"], "verification.warnings[0] must be one line"),
        ("verification.failures", [f"none{LINE}"], "verification.failures[0] must be one line"),
        ("verification.looser", [f"none{LINE}"], "verification.looser[0] must be one line"),
        ("intended_use", f"All{LINE}", "intended_use must be one line"),
        ("license", f"MIT{LINE}", "license must be an SPDX name or expression"),
    ],
)  # fmt: skip
def test_text_that_fakes_a_line_of_the_tool_is_refused_by_every_command(
    cxr_edge: Any, tmp_path: Path, path: str, value: Any, message: str
) -> None:
    folder = false_bundle(tmp_path / "bundle", {path: value})
    for command in ("info", "verify"):
        outcome = cxr_edge(command, folder)
        assert (outcome.code, outcome.out) == (1, "")
        assert message in outcome.err
        assert outcome.err.count("\n") == 1
        assert outcome.err.isascii()
        assert "\x1b" not in outcome.err


def test_every_text_of_a_bundle_is_read_out_as_its_own_words(cxr_edge: Any, tmp_path: Path) -> None:
    false = f'Fine." {FALSE_SIGNATURE}'
    read_out = own_words(false)
    assert read_out == f'the bundle says: "Fine.\\" {FALSE_SIGNATURE}"'
    record = {
        "verification.warnings": [false], "verification.looser": [false],
        "threshold.rule": false, "intended_use": false,
    }  # fmt: skip
    card = f'# Card\n\n## Bias, risks and limitations\n\n- Fine." {FALSE_SIGNATURE}\x1b[2K\n'
    folder = false_bundle(tmp_path / "bundle", record, card=card)
    for command, times in (("info", 4), ("verify", 2)):
        outcome = cxr_edge(command, folder)
        assert outcome.code == 0, outcome.err
        told = [line for line in outcome.out.splitlines() if FALSE_SIGNATURE in line]
        assert len(told) == times
        assert all(f"{read_out[:-1]}" in line for line in told)
        assert "\x1b" not in outcome.out


def test_why_a_bundle_was_rejected_is_told_in_its_own_words(cxr_edge: Any, tmp_path: Path) -> None:
    failures = ["recall fell", "passed after all"]
    folder = false_bundle(tmp_path / "bundle", {"verification.failures": failures})
    outcome = cxr_edge("classify", tmp_path, "--bundle", folder)
    assert outcome.code == 1
    assert '(the bundle says: "recall fell; passed after all")' in outcome.err


def test_notice_is_the_tools_beside_every_result(cxr_edge: Any, tmp_path: Path) -> None:
    folder = false_bundle(tmp_path / "bundle", {"intended_use": FALSE_NOTICE})
    assert notice_of(Bundle.load(folder)).startswith(f"{NOTICE} Model: tiny 0.1.0 (")
    film = tmp_path / "film.png"
    Image.fromarray(noisy_gradient((200, 200), seed=0)).save(film)
    outcome = cxr_edge("classify", film, "--bundle", folder)
    assert FALSE_NOTICE not in outcome.out + outcome.err
    assert outcome.out.splitlines()[-1].startswith(NOTICE)
    found = json.loads(cxr_edge("classify", film, "--bundle", folder, "--json").out)
    assert found["notice"] == NOTICE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", '"plain"'),
        ('a "b" c', r'"a \"b\" c"'),
        ("back\\slash", r'"back\\slash"'),
        ("a\nb\tc\x1b[31md", '"a b c [31md"'),
        ("wide" + " " * 99 + "gap", '"wide gap"'),
        ("blank" + "\u2800\u3164" * 99 + "gap", '"blank gap"'),
        ("right\u202eleft", '"right left"'),
        ("", '""'),
        ("Lunge, größer", '"Lunge, größer"'),
        ("x" * 3000, f'"{"x" * 2000}…"'),
    ],
)
def test_quoted_text_is_one_line_that_nothing_in_it_can_end(text: str, shown: str) -> None:
    assert quoted(text) == shown
