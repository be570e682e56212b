"""Calls of the Python API in code that pages and the notebook show."""

import ast
import inspect

import cxr_edge


def api_calls(code: str) -> list[tuple[str, ast.Call]]:
    """The calls ``cxr_edge.NAME(...)`` in the order of the code, each with its name."""
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    named = [
        (call.func.attr, call)
        for call in calls
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "cxr_edge"
    ]
    return sorted(named, key=lambda found: found[1].lineno)


def check_call(name: str, call: ast.Call) -> None:
    """Assert that a public function takes such arguments."""
    assert name in cxr_edge.__all__, name
    arguments = [None] * len(call.args)
    keywords = {str(keyword.arg): None for keyword in call.keywords}
    inspect.signature(getattr(cxr_edge, name)).bind(*arguments, **keywords)
