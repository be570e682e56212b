"""A structured report of an answer (PS3.16, TID 1500): who answered, with what, and how sure."""

import highdicom.sr as sr
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from cxr_edge.dicom_out.identity import MANUFACTURER, at_the_time_of, uid_of
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.classifier import Prediction

SERIES_NUMBER = 9002
# Of the codes that no standard has.
_SCHEME = "99CXREDGE"


def make_report(source: Dataset, prediction: Prediction, bundle: Bundle) -> Dataset:
    """Make the report of an answer, in a series of its own in the study of the film.

    Args:
        source: from :func:`cxr_edge.dicom_out.source.read_source`.
        prediction: the answer; of a rejected film the report has the verdict alone.
        bundle: the bundle that answered.
    """
    manifest = bundle.manifest
    algorithm = sr.AlgorithmIdentification(
        name=f"cxr-edge {manifest.name}",
        version=manifest.version,
        parameters=[f"bundle digest {bundle.digest}", NOTICE],
        manufacturer=MANUFACTURER,
    )
    measurements = []
    evaluations = [_evaluation("verdict", "Input gate", prediction.gate.verdict)]
    if prediction.label is not None and prediction.probability is not None:
        # Two labels may begin alike, and a code has 16 characters.
        found = "positive" if prediction.label == manifest.positive_label else "negative"
        evaluations.append(
            sr.QualitativeEvaluation(_code("label", "Label"), _code(found, prediction.label))
        )
        for code, meaning, value in (
            ("probability", f"Probability of {manifest.positive_label}", prediction.probability),
            ("threshold", "Threshold of the probability", prediction.threshold),
        ):
            measurements.append(
                sr.Measurement(_code(code, meaning), value=round(value, 6), unit=codes.UCUM.NoUnits)
            )
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=uid_of(source, prediction, bundle, "tracking"), identifier="film"
        ),
        algorithm_id=algorithm,
        measurements=measurements,
        qualitative_evaluations=evaluations,
        source_images=[sr.SourceImageForMeasurementGroup.from_source_image(source)],
    )
    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=str(generate_uid(entropy_srcs=[bundle.digest, "device"])),
            name=MANUFACTURER,
            model_name=manifest.name,
        ),
    )
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=CodedConcept("399208008", "SCT", "Plain chest X-ray"),
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
    )
    report = sr.ComprehensiveSR(
        evidence=[source],
        content=content,
        series_instance_uid=uid_of(source, prediction, bundle, "report series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid_of(source, prediction, bundle, "report"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        series_description="cxr-edge, research use only",
    )
    return at_the_time_of(source, report)


def _evaluation(code: str, meaning: str, value: str) -> sr.QualitativeEvaluation:
    return sr.QualitativeEvaluation(_code(code, meaning), _code(value[:16], value))


def _code(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value=value[:16], scheme_designator=_SCHEME, meaning=meaning[:64])
