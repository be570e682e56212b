"""Inference engines behind one interface: an engine is one entry of :data:`ENGINES` and its class.

Nothing here imports numpy or an engine: the command line reads the registry for its help.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cxr_edge_runtime.errors import EngineError, EngineMissing, InvalidRequest, how_to_install

if TYPE_CHECKING:
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_runtime.bundle.manifest import InputEntry
    from cxr_edge_runtime.engines.interface import Engine, Outputs

__all__ = ["ENGINES", "Engine", "EngineSpec", "Outputs", "engines_for", "open_engine", "open_model"]


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine that models can run in.

    Attributes:
        name: the name of its package on PyPI, which users give as well.
        format: the format of the models that it runs, ``tflite`` or ``onnx``.
        module: what is imported of its package.
        adapter: the class that runs models in it, as ``module:class`` below this package. It is
            called with the imported module, the name, the model's bytes, the manifest's description
            of the input, the names of the outputs and ``threads``.
        installation: what to do to have it, such as the command that installs it.
    """

    name: str
    format: str
    module: str
    adapter: str
    installation: str


# Of each format the preferred one first: it is taken where it is installed and none is named.
ENGINES = (
    EngineSpec(
        "ai-edge-litert", "tflite", "ai_edge_litert.interpreter", "litert:LiteRtEngine",
        "run: pip install ai-edge-litert",
    ),
    EngineSpec(
        "tflite-runtime", "tflite", "tflite_runtime.interpreter", "litert:LiteRtEngine",
        "run: pip install -r requirements-tflite.txt",
    ),
    EngineSpec(
        "onnxruntime", "onnx", "onnxruntime", "onnx:OnnxEngine", how_to_install("onnx"),
    ),
)  # fmt: skip


def open_engine(bundle: "Bundle", *, threads: int = 1, engine: str | None = None) -> "Engine":
    """Load the bundle's model into an engine for its format.

    Args:
        bundle: a loaded bundle.
        threads: threads of the engine.
        engine: the name of one of :data:`ENGINES`; by default the first for the model's format
            that is installed.

    Raises:
        InvalidRequest: there is no engine of that name.
        EngineMissing: no such engine is installed.
        EngineError: the engine does not take the model, or the model breaks the contract.
    """
    manifest = bundle.manifest
    return open_model(
        bundle.model,
        manifest.model.format,
        manifest.input,
        manifest.outputs,
        threads=threads,
        engine=engine,
    )


def open_model(
    model: bytes,
    format: str,
    entry: "InputEntry",
    outputs: tuple[str, ...],
    *,
    threads: int = 1,
    engine: str | None = None,
) -> "Engine":
    """Load a model that is in no bundle yet.

    Args:
        model: bytes of the file.
        format: ``tflite`` or ``onnx``.
        entry: what its input must be.
        outputs: which outputs it must have.
        threads: threads of the engine.
        engine: see :func:`open_engine`.

    Raises:
        InvalidRequest: there is no engine of that name.
        EngineMissing: no such engine is installed.
        EngineError: the engine does not take the model, or the model breaks the contract.
    """
    spec, module = _first_installed(engines_for(format, engine))
    file, _, name = spec.adapter.partition(":")
    adapter = getattr(import_module(f"{__name__}.{file}"), name)
    opened: Engine = adapter(module, spec.name, model, entry, outputs, threads=threads)
    return opened


def engines_for(format: str, engine: str | None = None) -> list[EngineSpec]:
    """The engines to try for a format, all of them or the one that is named, installed or not.

    Raises:
        InvalidRequest: there is no engine of that name.
        EngineError: the engine does not run this format.
    """
    of_format = [spec for spec in ENGINES if spec.format == format]
    if engine is None:
        return of_format
    if engine not in [spec.name for spec in ENGINES]:
        known = ", ".join(spec.name for spec in ENGINES)
        raise InvalidRequest(f"unknown engine {engine!r}; choose one of {known}")
    named = [spec for spec in of_format if spec.name == engine]
    if not named:
        others = " or ".join(spec.name for spec in of_format)
        raise EngineError(f"{engine} does not run {format} models; choose {others}")
    return named


def _first_installed(candidates: list[EngineSpec]) -> tuple[EngineSpec, Any]:
    for spec in candidates:
        try:
            return spec, import_module(spec.module)
        except ModuleNotFoundError:
            continue
    wanted = candidates[0]
    raise EngineMissing(f"{wanted.name} is not installed; {wanted.installation}")


def __getattr__(name: str) -> Any:
    if name not in ("Engine", "Outputs"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.interface"), name)
