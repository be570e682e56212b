"""What a bundle that is calibrated for a site carries anew: golden films and the reference."""

from dataclasses import replace

import numpy as np
import pandas as pd

from cxr_edge_convert.artifacts.golden_films import CLEAR, NEAR
from cxr_edge_convert.bundling.sealing import METADATA_KEY
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import REFERENCE_FILE, SELFTEST_FILE, Manifest
from cxr_edge_runtime.bundle.reference import PredictionDistribution, VerifiedPredictions
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device.selftest import GoldenFilms, answer_of
from cxr_edge_runtime.errors import ExtraMissing
from cxr_edge_runtime.gate import REJECTED
from cxr_edge_runtime.probability import at_prevalence, threshold_logit
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.evaluation.subject import Answers
from cxr_edge_train.statistics.operating_point import OperatingPoint

# Thresholds that differ by less are one.
_SAME = 1e-6


def golden_films_of(bundle: Bundle, manifest: Manifest) -> bytes:
    """The golden films of a bundle with the answers of its new manifest.

    Films that another device may call otherwise are left out: those whose logit is so near to the
    new threshold that the change which moved a probability by :data:`NEAR` at most could cross it.

    Args:
        bundle: the given bundle.
        manifest: with another operating point and other limits.

    Returns:
        The bytes of ``selftest.npz``.
    """
    golden = GoldenFilms.from_bytes(bundle.read(SELFTEST_FILE))
    classifier, limits = Classifier(replace(bundle, manifest=manifest)), manifest.gate
    before, after = threshold_logit(bundle.manifest), threshold_logit(manifest)
    # A probability rises with the logit by 1 / (4 temperature) at most.
    near = 4 * NEAR * bundle.manifest.temperature if abs(after - before) > _SAME else 0.0
    films, answers = [], []
    for film in golden.films:
        found = classifier.classify(film, force=True, mapped=False)
        if abs(found.logit - after) < near:
            continue
        answer, distance = answer_of(classifier, film), found.gate.distance
        if limits is not None and distance is not None and answer.verdict != REJECTED:
            to_limit = min(
                abs(distance / limit - 1) for limit in (limits.suspicious, limits.rejected)
            )
            answer = answer if to_limit >= CLEAR else replace(answer, verdict="")
        films.append(film)
        answers.append(answer)
    return GoldenFilms(tuple(films), tuple(answers), golden.made_with).to_bytes()


def with_manifest(model: bytes, manifest: Manifest) -> bytes:
    """An ONNX model that states a manifest, its files left out, to whoever runs it elsewhere.

    Raises:
        ExtraMissing: the package onnx is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ExtraMissing.of("onnx", needed_by="an ONNX bundle", extra="convert") from error
    content = onnx.load_from_string(model)
    onnx.helper.set_model_props(content, {METADATA_KEY: replace(manifest, files={}).to_json()})
    return bytes(content.SerializeToString(deterministic=True))


def reference_of(
    bundle: Bundle, point: OperatingPoint, films: pd.DataFrame, answers: Answers
) -> bytes | None:
    """The reference of a bundle on the labelled films of a site; None where it has none.

    Args:
        bundle: the given bundle, whose mean map of normal films stays.
        point: the new operating point.
        films: rows with ``label``.
        answers: to the same films.
    """
    if REFERENCE_FILE not in bundle.manifest.files:
        return None
    assert answers.verdicts is not None
    assert answers.distances is not None
    old = VerifiedPredictions.of_bundle(bundle)
    probabilities = point.probabilities(answers.logits)
    distances = answers.distances if np.isfinite(answers.distances).all() else np.empty(0)
    rejected = np.array(answers.verdicts) == REJECTED
    negative, positive = (
        PredictionDistribution.of(
            probabilities[chosen],
            distances[chosen] if len(distances) else distances,
            rejected[chosen],
        )
        for chosen in (positives(films) == 0, positives(films) == 1)
    )
    return VerifiedPredictions(negative, positive, old.normal_map).to_bytes()


def moved_reference(bundle: Bundle, prevalence: float) -> bytes | None:
    """The reference of a bundle with its probabilities moved to another prevalence.

    Args:
        bundle: a bundle that states the prevalence of its probabilities.
        prevalence: of the positive label.
    """
    stated = bundle.manifest.prevalence
    if REFERENCE_FILE not in bundle.manifest.files or stated is None:
        return None
    old = VerifiedPredictions.of_bundle(bundle)
    negative, positive = (
        replace(
            part,
            probabilities=np.array(
                [
                    at_prevalence(float(value), stated=stated, wanted=prevalence)
                    for value in part.probabilities
                ],
                dtype=np.float32,
            ),
        )
        for part in (old.negative, old.positive)
    )
    return VerifiedPredictions(negative, positive, old.normal_map).to_bytes()
