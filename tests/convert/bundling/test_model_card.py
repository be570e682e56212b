from dataclasses import replace
from pathlib import Path

import pytest

from cxr_edge_convert.bundling.model_card import CITATION, HEADINGS, START, model_card
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import (
    LIMITS_HEADING,
    AccuracyLimits,
    AccuracyLoss,
    GateLimits,
    VerificationRecord,
)


def test_card_says_what_the_manifest_says(golden_bundle: Path) -> None:
    manifest = Bundle.load(golden_bundle).manifest
    card = model_card(manifest)
    assert card.startswith("---\nlicense: ")
    assert "\n# tiny-int8 1\n\n**Research use only. Not a medical device.**\n" in card
    assert "sigmoid((logit +0.0000) / 1.5000)" in card
    assert "**0.4000**" in card
    assert "| validation | AUC (patient-level bootstrap) | 0.500 | 0.400–0.600 | 10 |" in card
    assert "20 images, seed 0" in card


def test_card_of_a_model_from_elsewhere_says_that_nothing_is_known(golden_bundle: Path) -> None:
    manifest = Bundle.load(golden_bundle).manifest
    own, foreign = (
        model_card(replace(manifest, training=replace(manifest.training, recipe=recipe)))
        for recipe in ("seed = 0", "")
    )
    assert "share no patient" in own
    assert "Trained outside cxr-edge" in foreign
    assert "Seed 0" not in foreign
    assert "share no patient" not in foreign


def test_card_of_a_users_model_claims_nothing_of_our_data(golden_bundle: Path) -> None:
    card = model_card(Bundle.load(golden_bundle).manifest)
    assert "Kermany" not in card
    assert "CC BY" not in card


def test_card_says_whether_there_is_an_input_gate(golden_bundle: Path) -> None:
    manifest = Bundle.load(golden_bundle).manifest
    without, gated = (
        model_card(replace(manifest, gate=gate))
        for gate in (None, GateLimits(suspicious=6.0, rejected=9.0))
    )
    assert "has no input gate" in without
    assert "has no input gate" not in gated
    assert "The input gate, a check before classification, rejects" in gated


def test_more_goes_below_its_heading_in_the_order_of_cards(golden_bundle: Path) -> None:
    manifest = Bundle.load(golden_bundle).manifest
    card = model_card(manifest, {CITATION: "Cite us.\n", LIMITS_HEADING: "- One more.\n"})
    headings = [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]
    assert headings == [heading for heading in HEADINGS if heading in headings]
    assert (
        card.index(f"## {LIMITS_HEADING}") < card.index("\n- One more.") < card.index(f"## {START}")
    )
    assert card.endswith("## Citation\n\nCite us.\n")
    assert "Environmental impact" not in card


def test_heading_that_cards_have_not_is_an_error(golden_bundle: Path) -> None:
    with pytest.raises(KeyError):
        model_card(Bundle.load(golden_bundle).manifest, {"Thanks": "To all."})


def test_shares_against_the_float_model_have_their_counts(golden_bundle: Path) -> None:
    limits = AccuracyLimits(0.01, 0.02, 0.005, 0.98)
    loss = AccuracyLoss(0.01, 1, 100, 0.04, 0.01, 1, 100, 0.0, 0.985)
    record = VerificationRecord(limits, (), loss, None, (), (), "x86_64")
    card = model_card(replace(Bundle.load(golden_bundle).manifest, verification=record))
    assert (
        "| in cxr-edge | 0.0100 (1 of 100) | 0.0100 (1 of 100) | 0.0000 "
        "| 0.9850 (3 of 200 changed) |" in card
    )
