from dataclasses import replace
from pathlib import Path

import pytest

from cxr_edge.console.conversion_table import print_variants, require_limits
from cxr_edge_convert.conversion import Variant
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.quantization.stability import Stability
from cxr_edge_convert.report.content import variant_folder
from cxr_edge_convert.variants import Scheme
from cxr_edge_convert.verification import verify
from cxr_edge_runtime.errors import LimitMissed
from verified_logits import FLOAT, reference


def variant(name: str, *, shift: float = 0.0, warning: str = "") -> Variant:
    """One that calls everything pneumonia where the shift is large."""
    return Variant(
        Scheme(name, "tflite", "int8"),
        b"model",
        FLOAT + shift,
        None,
        verify(reference(), FLOAT + shift, Limits(), same_computation=False),
        stability=Stability(300, 0.5, "tensor", 0.0, 9, warning),
    )


def printed(variants: list[Variant], output: Path) -> None:
    for made in variants:
        folder = output / variant_folder(made)
        folder.mkdir(parents=True)
        (folder / made.scheme.file).write_bytes(made.model)
    print_variants(variants, output)


def test_calibration_that_decides_differently_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variants = [variant("int8"), variant("onnx-int8-x86", warning="use more images")]
    printed(variants, tmp_path)
    captured = capsys.readouterr()
    assert captured.err == "warning: onnx-int8-x86: use more images\n"
    assert [line.split()[0] for line in captured.out.splitlines()] == [
        "variant", "int8", "onnx-int8-x86",
    ]  # fmt: skip
    require_limits(variants, tmp_path)


def test_rejected_variant_is_named_with_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variants = [variant("int8"), replace(variant("float16", shift=5.0), stability=None)]
    printed(variants, tmp_path)
    captured = capsys.readouterr()
    assert [line.split()[-1] for line in captured.out.splitlines()[1:]] == ["passed", "REJECTED"]
    assert captured.err == ""
    with pytest.raises(LimitMissed) as caught:
        require_limits(variants, tmp_path)
    assert str(caught.value).startswith("float16: specificity fell by 1.0000, the limit is ")
    assert str(caught.value).endswith(
        f". See {tmp_path / 'rejected'} and {tmp_path / 'report.html'}"
    )
