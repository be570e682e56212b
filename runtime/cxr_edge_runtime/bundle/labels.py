"""What the name of a class may be: printed, written into tables, and read by other programs."""

import unicodedata
from typing import Annotated

from cxr_edge_runtime.typed_json import PRINTABLE, Bounds

_SIGNS = frozenset("()._+- ")

# As far as a schema can say it; see :func:`is_label`.
Label = Annotated[
    Annotated[str, PRINTABLE],
    Bounds(
        pattern=r"[^\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\xbf]"
        r"[^\x00-\x1f\x21-\x27\x2a\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\xbf]{0,31}",
        must=(
            "be at most 32 letters, digits, spaces and ( ) . _ + -, starting with a letter or digit"
        ),
    ),
]


def is_label(text: str) -> bool:
    """Whether a text that has the form of :data:`Label` is one.

    It has letters and digits of any script, and signs between them. What begins otherwise would be
    a formula in a spreadsheet; two texts that look alike, by spaces or by how a letter with an
    accent is stored, would be two classes.

    >>> is_label("Lungenentzündung"), is_label("Lung Opacity (AP)"), is_label("＝1+1")
    (True, True, False)
    """
    return (
        (text[0].isalnum() or text[0] == "_")
        and all(c.isalnum() or c in _SIGNS or unicodedata.category(c)[0] == "M" for c in text)
        and text == " ".join(text.split())
        and text == unicodedata.normalize("NFKC", text)
    )
