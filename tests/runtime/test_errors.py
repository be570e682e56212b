import re

from cxr_edge_runtime import errors


def _all(cls: type[errors.CxrEdgeError]) -> set[type[errors.CxrEdgeError]]:
    return {cls}.union(*(_all(child) for child in cls.__subclasses__()))


def test_the_tree_in_the_docstring_names_every_error() -> None:
    drawn = set(re.findall(r"^\s+[│├└─ ]*(\w+) {2,}", errors.__doc__ or "", re.MULTILINE))
    assert drawn == {error.__name__ for error in _all(errors.CxrEdgeError)}


def test_exit_codes_are_those_of_the_command_line() -> None:
    codes = {error.__name__: error.exit_code for error in _all(errors.CxrEdgeError)}
    assert codes.pop("InvalidRequest") == 2
    assert codes.pop("LimitMissed") == 4
    assert set(codes.values()) == {1}


def test_kind_is_the_class_name() -> None:
    assert errors.ImageTooSmall("x").kind == "ImageTooSmall"
