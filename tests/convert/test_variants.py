from cxr_edge_convert.variants import wanted_schemes


def names(formats: list[str], quantizations: list[str], target: str = "arm64") -> list[str]:
    schemes = wanted_schemes(formats=formats, quantizations=quantizations, target=target)
    return [scheme.name for scheme in schemes]


def test_float32_is_always_first_in_each_format() -> None:
    assert names(["tflite"], []) == ["float32"]
    assert names(["onnx"], []) == ["onnx-float32"]
    assert names(["tflite", "onnx"], ["int8", "float16", "dynamic"]) == [
        "float32", "float16", "dynamic", "int8", "onnx-float32", "onnx-int8-arm64",
    ]  # fmt: skip


def test_target_is_part_of_an_onnx_int8_name_only() -> None:
    assert names(["tflite", "onnx"], ["int8"], "x86") == [
        "float32", "int8", "onnx-float32", "onnx-int8-x86",
    ]  # fmt: skip


def test_file_has_the_suffix_of_its_format() -> None:
    schemes = wanted_schemes(formats=["tflite", "onnx"], quantizations=[], target="x86")
    assert [scheme.file for scheme in schemes] == ["model.tflite", "model.onnx"]
