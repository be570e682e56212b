import os
from typing import Any

import pytest
import ray

from cxr_edge.scoring.cluster import cluster
from cxr_edge_runtime.errors import CxrEdgeError


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ray is told through the environment is told to no later test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What Ray is asked for; it answers with a cluster of nothing."""
    asked: list[tuple[str, dict[str, Any]]] = []
    for name in ("init", "shutdown"):
        monkeypatch.setattr(ray, name, lambda name=name, **options: asked.append((name, options)))
    monkeypatch.setattr(ray, "cluster_resources", dict)
    return asked


def test_cluster_without_a_core_is_refused_and_left(calls: list[tuple[str, Any]]) -> None:
    with pytest.raises(CxrEdgeError) as caught, cluster("head:6379", None):
        pass
    assert str(caught.value) == "head:6379: this cluster has no processor core"
    assert [name for name, _ in calls] == ["init", "shutdown"]
    assert calls[0][1]["address"] == "head:6379"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (None, "Ray does not start (no room left)"),
        ("auto", "auto: no Ray there (no room left)"),
    ],
)
def test_ray_that_does_not_begin_is_one_line(
    monkeypatch: pytest.MonkeyPatch, address: str | None, words: str
) -> None:
    def fails(**_: Any) -> None:
        raise RuntimeError("no room\n  left")

    monkeypatch.setattr(ray, "init", fails)
    with pytest.raises(CxrEdgeError) as caught, cluster(address, 1):
        pass
    assert str(caught.value) == words


def test_ray_whose_port_was_taken_meanwhile_is_started_again(
    monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, Any]]
) -> None:
    started = ray.init
    failures = [RuntimeError("Failed to start GCS")]

    def fails_once(**options: Any) -> None:
        started(**options)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(ray, "init", fails_once)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with cluster(None, 1):
        pass
    assert [name for name, _ in calls] == ["init", "shutdown", "init", "shutdown"]


@pytest.mark.parametrize("own", [False, True])
def test_ray_alone_has_a_token_unless_the_user_has_one(
    monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, Any]], own: bool
) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        os.environ.pop(name, None)
    if own:
        os.environ["RAY_AUTH_TOKEN_PATH"] = "/token"
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with cluster(None, None) as workers:
        assert workers == 2
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ.get("RAY_AUTH_TOKEN", "")) == (0 if own else 64)
    assert calls[0][1]["address"] == "local"
