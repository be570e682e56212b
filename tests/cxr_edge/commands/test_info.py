import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge_runtime.bundle import Bundle, describe_files, write_bundle
from cxr_edge_runtime.bundle.manifest import CARD_FILE
from locators import located_bundle


def test_list_names_the_shipped_bundles(cxr_edge: Any) -> None:
    outcome = cxr_edge("info", "--list")
    assert outcome.code == 0, outcome.err
    header, *rows, installed = outcome.out.splitlines()
    assert installed == "none is installed; the default is mobilenetv2-int8"
    assert header.split() == ["name", "version", "format", "quantization", "bytes", "digest"]
    assert [row.split()[:4] for row in rows] == [
        ["mobilenetv2-int8", "0.1.0", "tflite", "int8"],
        ["mobilenetv2-onnx-int8", "0.1.0", "onnx", "int8"],
        ["tiny", "0.1.0", "tflite", "int8"],
    ]


def test_list_takes_no_bundle(cxr_edge: Any, golden_bundle: Path) -> None:
    outcome = cxr_edge("info", golden_bundle, "--list")
    assert outcome.code == 2
    assert "leave BUNDLE out" in outcome.err


def test_bundle_without_a_gate_says_so(cxr_edge: Any, golden_bundle: Path) -> None:
    assert "no input gate: every image gets a prediction" in cxr_edge("info", golden_bundle).out
    assert "no input gate" not in cxr_edge("info").out


def test_lung_locator_is_named_with_its_size_and_margin(
    cxr_edge: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    located = located_bundle(tmp_path / "located")
    size = (located / "locator.tflite").stat().st_size
    line = (
        f"locator    locator.tflite, {size:,} bytes; the model gets the box of the lungs, enlarged "
        "1.2 times in width and height"
    )
    assert line in cxr_edge("info", located).out.splitlines()
    assert "locator " not in cxr_edge("info", golden_bundle).out


def test_limits_are_those_of_the_card_a_line_each(cxr_edge: Any) -> None:
    lines = cxr_edge("info").out.splitlines()
    limits = [line for line in lines if line.startswith("limit ")]
    assert len(limits) == 10
    assert limits[0].startswith(
        'limit      the bundle says: "Expect it to be at best as good on your images as on those '
    )
    assert limits[1].endswith('It does not catch everything."')
    assert limits[4].startswith('limit      the bundle says: "It was never tested on young')
    [card] = [line for line in lines if line.startswith("more ")]
    assert Path(card.removeprefix("more").strip()).name == "MODEL_CARD.md"


def test_where_the_bundle_lies_is_said(cxr_edge: Any, golden_bundle: Path) -> None:
    assert cxr_edge("info", golden_bundle).out.splitlines()[1] == f"from       {golden_bundle}"


def test_bundle_without_a_card_has_no_limits_to_show(
    cxr_edge: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    golden = Bundle.load(golden_bundle)
    contents = {name: golden.read(name) for name in golden.manifest.files if name != CARD_FILE}
    manifest = replace(golden.manifest, files=describe_files(contents))
    write_bundle(tmp_path / "bare", manifest, contents)
    outcome = cxr_edge("info", tmp_path / "bare")
    assert outcome.code == 0, outcome.err
    assert not [line for line in outcome.out.splitlines() if line.startswith(("limit ", "more "))]


def test_json_has_manifest_digest_and_limits(cxr_edge: Any, golden_bundle: Path) -> None:
    found = json.loads(cxr_edge("info", "--json").out)
    bundle = load_bundle("mobilenetv2-int8")
    assert found["manifest"] == json.loads((bundle.path / "bundle.json").read_text())
    assert (found["digest"], found["path"]) == (bundle.digest, str(bundle.path))
    assert any("never tested on young children" in limit for limit in found["limits"])
    listed = cxr_edge("info", "--list", "--json").out.splitlines()
    names = [json.loads(line)["manifest"]["name"] for line in listed]
    assert names == ["mobilenetv2-int8", "mobilenetv2-onnx-int8", "tiny"]
    assert not any(json.loads(line)["installed"] for line in listed)


def test_installed_bundle_is_listed_and_marked(
    cxr_edge: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert cxr_edge("pack", "tiny", "-o", tmp_path / "tiny.cxr.zip").code == 0
    outcome = cxr_edge("install", tmp_path / "tiny.cxr.zip", "--unsigned")
    assert outcome.code == 0, outcome.err
    rows = cxr_edge("info", "--list").out.splitlines()[1:]
    assert [row.split()[0] for row in rows if row.endswith("  installed")] == ["tiny"]
    assert len(rows) == 4
    listed = map(json.loads, cxr_edge("info", "--list", "--json").out.splitlines())
    assert [one["installed"] for one in listed] == [False, False, False, True]


def test_damaged_installation_is_said_after_what_ships(
    cxr_edge: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    current = tmp_path / "cxr-edge" / "bundles" / "current"
    current.mkdir(parents=True)
    outcome = cxr_edge("info", "--list")
    assert outcome.code == 1
    assert [row.split()[0] for row in outcome.out.splitlines()[1:4]] == [
        "mobilenetv2-int8", "mobilenetv2-onnx-int8", "tiny",
    ]  # fmt: skip
    assert str(current) in outcome.err
    assert cxr_edge("info", "tiny").code == 0
    assert cxr_edge("info").code == 1
