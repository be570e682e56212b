import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import cxr_edge_runtime
from synthetic import noisy_gradient


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


def test_one_film_waits_for_no_import_that_it_does_not_need(tmp_path: Path) -> None:
    film = tmp_path / "film.jpeg"
    Image.fromarray(noisy_gradient((900, 800), seed=0)).save(film)
    program = (
        "import sys, cxr_edge_models\n"
        "from cxr_edge_runtime import Bundle, Classifier\n"
        "bundle = Bundle.load(cxr_edge_models.path(cxr_edge_models.DEFAULT))\n"
        "Classifier(bundle).classify(sys.argv[1], force=True, mapped=False)\n"
        "unneeded = ('numpy.ma', 'numpy.random', 'asyncio', 'concurrent', 'multiprocessing',\n"
        "    'pydicom', 'cxr_edge_runtime.bundle.archive', 'cxr_edge_runtime.images.headers')\n"
        "print([name for name in unneeded if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program, film], capture_output=True, text=True)
    assert output.stdout == "[]\n", output.stderr
