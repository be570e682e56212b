"""Phrases that a native reader of this field stumbled over do not come back."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import ROOT

# A pattern, and what to say instead.
PHRASES = {
    r"\b(?:row|line|file|film|image|second|step|byte|grey value|day) an? "
    r"(?:row|line|file|film|image|second|day|grey|pixel|label)\b": "per",
    r"\bspeaks? for\b|\bspoke for\b": "supports, raised the score",
    r"\bgo(?:es)? by (?:its|the|margins|what)\b": "relies on",
    r"\bcalled (?:ill|sick|healthy)\b": "flagged",
    r"\bthe whole road\b": "the whole pipeline",
    r"\b(?:some|any|every)body\b": "users, anyone, another person",
    r"\bnobody (?:knows|has to trust|needs|can hear)\b": "unknown, untrusted",
    r"\bTelling by themselves\b": "predicts the label alone",
    r"\bmay decide about a patient\b": "do not use it to make decisions about patients",
    r"\bonce a folder is under way\b": "in steady state",
    r"\bpassed over\b": "skipped",
    r"\bwithout a word\b": "silently",
    r"\bdoes not pay\b|\bpays nothing\b": "has no measurable effect",
    r"\bis another[,.;]|\bare others[,.;]": "differs, changed",
    r"(?<!there\s)\b(?:is|are|be|was|were) no "
    r"(?:chest|frontal|film|image|folder|file|text|JPEG|DICOM)\b": "is not a",
    r"\bin exact versions they pass with\b": "pinned to the versions we test with",
    r"\ba word of caution\b": "a warning",
    r"\bgone on with\b|\bgoes on (?:where|from)\b": "resumes",
    r"\bwhat it alone does\b": "only cxr-edge",
    r"\bhas the same word everywhere\b": "is named the same everywhere",
    r"\bfor ever\b": "endlessly, for good",
    r"\bas it lies\b|\bas they lie\b": "as it is",
    r"\bof the image(?:s)? under way\b|\b(?:images|film|films) under way\b": "in progress",
    r"\btakes? up room\b": "takes up space",
}
READ = {".md", ".py", ".html", ".js", ".yml", ".toml", ".ipynb", ".txt", ".service"}
FOLDERS = ("cxr_edge", "runtime", "train", "convert", "models", "data", "docs", ".github")


def texts() -> Iterator[tuple[Path, str]]:
    """What a user or contributor may read, with its path."""
    pages = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))]
    for path in (*ROOT.glob("*.md"), *pages):
        if path.suffix in READ and path.is_file():
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("phrase", "instead"), PHRASES.items())
def test_phrase_does_not_come_back(phrase: str, instead: str) -> None:
    pattern = re.compile(phrase.replace(" ", r"\s+(?:#\s+)?"), re.IGNORECASE)
    found = [
        f"{path}:{text.count(chr(10), 0, hit.start()) + 1}: {' '.join(hit[0].split())}"
        for path, text in texts()
        for hit in pattern.finditer(text)
    ]
    assert not found, f"say: {instead}"


def test_patterns_find_what_they_are_for() -> None:
    said = (
        "a row a film", "what spoke for pneumonia", "It goes by margins", "called ill",
        "walks the whole road", "Somebody else's", "Telling by themselves: bytes",
        "Nothing here may decide about a patient", "once a folder is under way", "is passed over",
        "the share is another, it", "are no chest X-rays",
    )  # fmt: skip
    for words in said:
        assert any(re.search(phrase, words, re.IGNORECASE) for phrase in PHRASES), words
