import pytest

from cxr_edge_runtime.bundle.labels import is_label

GOOD = ("NORMAL", "TB", "01", "_x", "No finding", "Lung Opacity (AP)", "Entzündung", "肺炎", "हृदय")
# Blanks, formulas of full width, signs, what is invisible, and letters that are stored in parts.
BAD = (
    "NORMAL ", "two  spaces", "＝1+1", "＋x", "×", "\u3164x", "\u0301x", "Entzu\u0308ndung", "a\tb",
    "a\u200bb", "\U0001f600",
)  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_letters_of_any_script_are_a_label(text: str) -> None:
    assert is_label(text)


@pytest.mark.parametrize("text", BAD)
def test_what_looks_like_another_or_begins_a_formula_is_none(text: str) -> None:
    assert not is_label(text)
