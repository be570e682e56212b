"""A patient's age in years, from a number or as DICOM states it."""

import re

from cxr_edge_runtime.images.dicom_film import stated_age

# Nobody is known to have been older; registers write 999 where they do not know.
_OLDEST = 122


def age_text(age: str | float | None) -> str:
    """An age in years as text, such as ``62`` or ``0.5``; empty where it is unknown.

    Args:
        age: years, as a number or text; or text as DICOM states it (PS3.5, 6.2), such as ``062Y``.

    Examples:
        >>> from cxr_edge_train.dataset.ages import age_text
        >>> age_text("062Y"), age_text("006M"), age_text(62.0), age_text("999")
        ('62', '0.5', '62', '')
    """
    years = _years(age) if isinstance(age, str) else age
    if years is None or not 0 <= years <= _OLDEST:  # NaN too
        return ""
    return f"{round(years, 2):g}"


def _years(text: str) -> float | None:
    text = text.strip().upper()
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else stated_age(text)
