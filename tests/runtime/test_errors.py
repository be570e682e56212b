import re
import sys
from pathlib import Path

import pytest

from cxr_edge_runtime import errors


def _all(cls: type[errors.CxrEdgeError]) -> set[type[errors.CxrEdgeError]]:
    return {cls}.union(*(_all(child) for child in cls.__subclasses__()))


def test_the_tree_in_the_docstring_names_every_error() -> None:
    drawn = set(re.findall(r"^\s+[│├└─ ]*(\w+) {2,}", errors.__doc__ or "", re.MULTILINE))
    assert drawn == {error.__name__ for error in _all(errors.CxrEdgeError)}


def test_no_error_knows_of_exit_codes_or_options() -> None:
    source = Path(errors.__file__).read_text(encoding="utf-8")
    assert not re.search(r"exit.code|(?<![\w-])--[a-z]", source)


def test_missing_extra_says_who_needs_what_and_how_to_install_it_from_no_index() -> None:
    error = errors.ExtraMissing.of("pandas", needed_by="clean", extra="train")
    assert str(error) == (
        "clean needs pandas, which is not installed; run: pip install '.[train]' in the checkout, "
        "or with the wheel's file name instead of ."
    )


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("train", "use Python 3.11 to 3.13; there is no TensorFlow for this version"),
        ("dicom-out", "use Python 3.11 to 3.13; there is no pyjpegls for this version"),
        (
            "onnx",
            "run: pip install '.[onnx]' in the checkout, or with the wheel's file name "
            "instead of .",
        ),
    ],
)
def test_extra_that_this_python_cannot_have_is_not_offered(
    monkeypatch: pytest.MonkeyPatch, extra: str, words: str
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    assert errors.how_to_install(extra) == words


def test_kind_is_the_class_name() -> None:
    assert errors.ImageTooSmall("x").kind == "ImageTooSmall"
