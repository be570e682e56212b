import subprocess
import sys

import pytest

import cxr_edge_runtime


def test_public_names_exist_and_are_sorted() -> None:
    assert cxr_edge_runtime.__all__ == sorted(cxr_edge_runtime.__all__)
    for name in cxr_edge_runtime.__all__:
        assert hasattr(cxr_edge_runtime, name)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Clasifier'"):
        cxr_edge_runtime.Clasifier  # noqa: B018


def test_import_brings_neither_numpy_nor_an_engine() -> None:
    program = (
        "import sys, cxr_edge_runtime\n"
        "heavy = ('numpy', 'PIL', 'tensorflow', 'keras', 'pandas', 'ai_edge_litert')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert output.stdout == "[]\n", output.stderr
