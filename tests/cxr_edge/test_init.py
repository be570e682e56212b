"""``import cxr_edge``: the list of public names, and what importing costs and says."""

import subprocess
import sys
from pathlib import Path

import pytest

import cxr_edge
from cxr_edge.process import keras_backend
from cxr_edge_runtime.errors import ExtraMissing


def test_list_of_names_is_the_table_of_modules_and_each_can_be_had() -> None:
    assert cxr_edge.__all__ == sorted(cxr_edge.__all__)
    assert set(cxr_edge.__all__) == set(cxr_edge._HOMES)
    assert set(dir(cxr_edge)) == {*cxr_edge.__all__, "__version__"}
    for name in cxr_edge.__all__:
        assert getattr(cxr_edge, name).__name__ == name
    assert cxr_edge.__version__.count(".") >= 2


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Clasifier'"):
        cxr_edge.Clasifier  # noqa: B018


def test_import_brings_neither_numpy_nor_pillow_nor_an_engine_nor_typer() -> None:
    program = (
        "import sys, cxr_edge\n"
        "heavy = ('numpy', 'PIL', 'ai_edge_litert', 'onnxruntime', 'tflite_runtime', 'typer',\n"
        "         'keras', 'tensorflow', 'pandas', 'ray')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert output.stdout == "[]\n", output.stderr


def test_name_without_its_packages_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "needs_a_package.py").write_text("import package_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cxr_edge._HOMES, "check_drift", cxr_edge._Home("needs_a_package", "drift"))
    monkeypatch.delitem(vars(cxr_edge), "check_drift", raising=False)
    with pytest.raises(ExtraMissing, match=r"package_that_nobody_has.*\.\[drift\]"):
        cxr_edge.check_drift  # noqa: B018


def test_name_that_the_base_install_has_does_not_blame_an_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(cxr_edge._HOMES, "Bundle", cxr_edge._Home("module_that_is_lost"))
    monkeypatch.delitem(vars(cxr_edge), "Bundle", raising=False)
    with pytest.raises(ModuleNotFoundError, match="module_that_is_lost"):
        cxr_edge.Bundle  # noqa: B018


@pytest.mark.parametrize("name", ["train", "convert"])
def test_keras_is_loaded_quietly_and_as_the_user_set_it_before_a_name_that_needs_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    loaded: list[bool] = []
    monkeypatch.setattr(keras_backend, "load_quietly", lambda: loaded.append(True))
    lost = cxr_edge._HOMES[name]._replace(module="package_that_nobody_has")
    monkeypatch.setitem(cxr_edge._HOMES, name, lost)
    monkeypatch.delitem(vars(cxr_edge), name, raising=False)
    with pytest.raises(ExtraMissing):
        getattr(cxr_edge, name)
    assert loaded == [True]
