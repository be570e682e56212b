"""cxr-edge and other tools side by side on the same films, for docs/results/peers.md.

    python -m benchmarks.peers.run CACHE --run RUN --conversion CONVERSION --films ORIGINALS

Run from the repository's root with cxr-edge's own environment. CACHE takes the environments and
models, several gigabytes; what is there already is not made again. With --steps some of the work
is done alone; the figures are kept in a JSON file between the steps.
"""

import dataclasses
import datetime
import json
import math
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers import interface, page
from benchmarks.peers.contestants import CONTESTANTS, OURS, PEERS, Contestant, Places
from benchmarks.side_by_side import arguments, process
from cxr_edge_runtime.device import available_cores

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PAGE = ROOT / "docs" / "results" / "peers.md"
FIGURES = ROOT / "docs" / "results" / "peers" / "figures.json"
STEPS = ("install", "prepare", "measure", "losses", "page")


def install(places: Places) -> None:
    """Make the environments."""
    pip = [sys.executable, "-m", "pip"]
    wheels = places.cache / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT)])
    wheel = next(wheels.glob("cxr_edge-*.whl"))
    for peer in PEERS:
        for preparing in (False, True):
            environment = places.environment(peer, preparing=preparing)
            if peer == OURS:
                extra = "[convert]" if preparing else ""
                what = [f"{wheel}{extra}", "--constraint", str(ROOT / "constraints.txt")]
            else:
                what = ["--requirement", str(HERE / f"requirements-{environment.name}.txt")]
            if environment.exists() or (preparing and not needs_more(peer)):
                continue
            python = str(environment / "bin" / "python")
            try:
                run([sys.executable, "-m", "venv", "--without-pip", str(environment)])
                run([*pip, "--python", python, "install", "--quiet", *what])
            except BaseException:
                shutil.rmtree(environment, ignore_errors=True)  # half of one is none
                raise


def needs_more(peer: str) -> bool:
    """Whether quantizing needs packages that classifying does not."""
    return peer == OURS or (HERE / f"requirements-{peer}-prepare.txt").exists()


def prepare(places: Places, training: Path, conversion: Path) -> None:
    """Let each peer make its models."""
    # In a process of its own: a child's peak memory begins with what its parent has.
    inputs = [str(training), str(conversion), str(places.inputs)]
    run([sys.executable, "-m", "benchmarks.peers.inputs", *inputs])
    for peer in PEERS:
        wanted = [places.model(c) for c in CONTESTANTS if c.peer == peer]
        if peer == OURS or all(model.exists() for model in wanted):
            continue
        environment = places.environment(peer, preparing=needs_more(peer))
        script = [str(environment / "bin" / "python"), "-m", f"benchmarks.peers.{peer}_peer"]
        run([*script, "prepare", str(places.inputs), str(places.models(peer))])


def measure_costs(places: Places, films: Path, rounds: int) -> dict[str, Any]:
    """Time and memory with everyone in turn in each round, sizes and versions."""
    listed = interface.films_below(films)
    work = {"one": listed[0], "folder": films}
    for contestant in CONTESTANTS:
        process(places.command(contestant, "one", work["one"]))  # warm the disk cache
    runs: dict[str, Any] = {c.name: {verb: [] for verb in work} for c in CONTESTANTS}
    loads = []
    for number in range(rounds):
        loads.append(round(os.getloadavg()[0], 1))
        for contestant in CONTESTANTS:
            for verb, what in work.items():
                measured = process(places.command(contestant, verb, what))
                runs[contestant.name][verb].append(dataclasses.asdict(measured))
        print(f"round {number + 1} of {rounds}", flush=True)
    for contestant in CONTESTANTS:
        runs[contestant.name]["model_bytes"] = model_bytes(places.model(contestant))
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": available_cores(),
        "load_before_rounds": loads,
        "films": len(listed),
        "versions": {peer: versions(places, peer) for peer in PEERS},
        "installed_mb": {
            peer: {
                "classify": installed_mb(places, places.environment(peer)),
                "prepare": installed_mb(
                    places, places.environment(peer, preparing=needs_more(peer))
                ),
            }
            for peer in PEERS
        },
        "runs": runs,
    }


def model_bytes(model: Path) -> int:
    """Of OpenVINO's pair of files both."""
    weights = model.with_suffix(".bin")
    pair = [model, weights] if model.suffix == ".xml" else [model]
    return sum(file.stat().st_size for file in pair)


def installed_mb(places: Places, environment: Path) -> int:
    """What is installed, on disk, in MB of 2**20 bytes; neither pip nor Python itself is."""
    packages = places.site_packages(environment)
    blocks = sum(file.lstat().st_blocks for file in packages.rglob("*") if file.is_file())
    return round(blocks * 512 / 2**20)


def versions(places: Places, peer: str) -> dict[str, str]:
    """Of the packages that :data:`PEERS` names."""
    environment = places.environment(peer, preparing=needs_more(peer))
    listing = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
    found = run([*listing, "list", "--format", "json"], stdout=subprocess.PIPE)
    installed = {package["name"]: package["version"] for package in json.loads(found)}
    return {name: installed[name] for name in PEERS[peer]}


def measure_losses(places: Places, training: Path) -> dict[str, Any]:
    """Let everyone classify the validation films, and compare with float."""
    import pandas as pd

    from benchmarks.peers import losses
    from benchmarks.peers.inputs import VALIDATION, VALIDATION_TABLE
    from cxr_edge_train.runs import read_run

    settings = read_run(training)
    films = places.inputs / VALIDATION
    for contestant in CONTESTANTS:
        if contestant.peer == OURS:
            lines = our_logits(places, contestant, films, settings)
        else:
            lines = run(places.command(contestant, "list", films), stdout=subprocess.PIPE)
        file = places.logits(contestant)
        file.parent.mkdir(exist_ok=True)
        file.write_text(lines, encoding="utf-8")
    table = pd.read_csv(places.inputs / VALIDATION_TABLE, dtype={"patient": str})
    return losses.measure_losses(table, places.logits, settings)


def our_logits(places: Places, contestant: Contestant, films: Path, settings: Any) -> str:
    """What ``classify`` answers, in the form that :mod:`benchmarks.peers.interface` has."""
    point = settings.operating_point
    program = places.environment(OURS) / "bin" / "cxr-edge"
    said = run(
        [str(program), "classify", "--json", "--force", "--bundle", contestant.model, "-"],
        stdout=subprocess.PIPE,
        input=films.read_text(encoding="utf-8"),
    )
    lines = []
    for line in said.splitlines():
        answer = json.loads(line)
        p = min(max(answer["probability"], 1e-6), 1 - 1e-6)
        lines.append(
            f"{point.temperature * math.log(p / (1 - p)) - point.bias:.6f}\t{answer['file']}\n"
        )
    return "".join(lines)


def run(command: list[str], **options: Any) -> str:
    """Run to the end, in the repository; what it printed where that is asked for."""
    done = subprocess.run(command, check=True, cwd=ROOT, text=True, **options)
    return done.stdout or ""


def main() -> None:
    parser = arguments(__doc__, "cache", rounds=7)
    parser.add_argument("--run", type=Path, required=True, help="of the shipped network")
    parser.add_argument("--conversion", type=Path, required=True, help="of that run")
    parser.add_argument("--films", type=Path, required=True, help="a folder in full resolution")
    parser.add_argument("--json", type=Path, default=FIGURES, help="where the figures are kept")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    options = parser.parse_args()
    os.chdir(ROOT)
    places = Places(options.cache.resolve())
    # Ultralytics keeps settings of its own; they are none of the user's.
    settings = places.cache / "ultralytics-settings"
    settings.mkdir(parents=True, exist_ok=True)
    os.environ["YOLO_CONFIG_DIR"] = str(settings)

    if "install" in options.steps:
        install(places)
    if "prepare" in options.steps:
        prepare(places, options.run, options.conversion)
    figures = json.loads(options.json.read_text()) if options.json.exists() else {}
    if "measure" in options.steps:
        figures |= measure_costs(places, options.films, options.rounds)
    if "losses" in options.steps:
        figures["losses"] = measure_losses(places, options.run)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if "page" in options.steps:
        PAGE.write_text(page.insert(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")


if __name__ == "__main__":
    main()
