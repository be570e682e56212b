import pytest

from cxr_edge.console.by_architecture import by_architecture, several_by_architecture
from cxr_edge_train import architectures


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ([], {}),
        (["none"], {"*": "none"}),
        (["vgg16=w.h5", "none"], {"vgg16": "w.h5", "*": "none"}),
        (["folder=1/w.h5"], {"*": "folder=1/w.h5"}),
        (["vgg16=a=b.h5"], {"vgg16": "a=b.h5"}),
        (["vgg16="], {"*": "vgg16="}),
        (["one", "two", "vgg16=a", "vgg16=b"], {"*": "two", "vgg16": "b"}),
    ],
)
def test_value_is_for_the_architecture_before_the_first_equals_sign_or_for_all_others(
    monkeypatch: pytest.MonkeyPatch, given: list[str], values: dict[str, str]
) -> None:
    monkeypatch.setattr(architectures, "ARCHITECTURES", {"vgg16": None, "pure_cnn": None})
    assert by_architecture(given) == values


def test_all_values_for_one_architecture_can_count_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(architectures, "ARCHITECTURES", {"vgg16": None})
    given = ["a.toml", "vgg16=c.toml", "b.toml", "vgg16=d.toml"]
    assert several_by_architecture(given) == {
        "*": ["a.toml", "b.toml"],
        "vgg16": ["c.toml", "d.toml"],
    }
