import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import ray

from cxr_edge.scoring import cluster as cluster_module
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


def succeeds(program: str) -> bool:
    return cluster_module._succeeds([sys.executable, "-c", program])


def test_command_that_fails_says_nothing_or_stalls_does_not_succeed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert succeeds("print('imported'); print('status')")
    assert not succeeds("print('imported'); raise SystemExit(1)")
    assert not succeeds("raise SystemExit(1)")
    monkeypatch.setattr(cluster_module, "_PATIENCE_S", 0.1)
    assert not succeeds("import time; print('imported', flush=True); time.sleep(600)")


def test_clock_of_a_command_starts_with_its_first_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    imported = tmp_path / "imported"
    program = (
        "import pathlib, time\n"
        f"file = pathlib.Path({str(imported)!r})\n"
        "while not file.exists(): time.sleep(0.01)\n"
        "print(flush=True)"
    )
    waited = []

    class Process(subprocess.Popen):  # type: ignore[type-arg]
        def communicate(self, *content: Any, timeout: float | None = None) -> Any:
            waited.append((imported.exists(), timeout))
            return super().communicate(*content)

    monkeypatch.setattr(subprocess, "Popen", Process)
    threading.Timer(0.2, imported.touch).start()
    assert succeeds(program)
    assert waited == [(True, cluster_module._PATIENCE_S)]


def test_cluster_without_a_core_is_refused_and_left(calls: list[tuple[str, Any]]) -> None:
    with pytest.raises(CxrEdgeError) as caught, cluster("head:6379", None):
        pass
    assert str(caught.value) == "head:6379: this cluster has no CPU core"
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


@pytest.mark.slow
def test_ray_starts_after_one_without_a_token_was_used_in_the_same_process() -> None:
    code = (
        "import os, ray\n"
        "os.environ['RAY_AUTH_MODE'] = 'disabled'\n"
        "ray.init(address='local', include_dashboard=False, num_cpus=1)\n"
        "ray.shutdown()\n"
        "del os.environ['RAY_AUTH_MODE']\n"
        "from cxr_edge.scoring.cluster import cluster\n"
        "with cluster(None, 1) as workers:\n"
        "    pass\n"
        "print('workers', workers)\n"
        "assert 'RAY_AUTH_MODE' not in os.environ and 'RAY_AUTH_TOKEN' not in os.environ\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.stdout.splitlines()[-1:] == ["workers 1"], done.stderr


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
    assert "RAY_AUTH_MODE" not in os.environ
    assert "RAY_AUTH_TOKEN" not in os.environ
    assert calls[0][1]["address"] == "local"
