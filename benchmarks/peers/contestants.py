"""Who is compared, and where their environments and models lie."""

from dataclasses import dataclass
from pathlib import Path

OURS = "cxr-edge"
# Whose environments are made, with the packages whose versions the page names.
PEERS = {
    OURS: ("cxr-edge", "ai-edge-litert", "ai-edge-quantizer"),
    "keras": ("keras", "tensorflow"),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino", "nncf"),
    "ultralytics": ("ultralytics", "torch", "litert-torch", "ai-edge-quantizer"),
}
# The rest have the shipped network.
OWN_NETWORK = frozenset({"ultralytics"})


@dataclass(frozen=True, slots=True)
class Contestant:
    """A tool with a model.

    Attributes:
        peer: whose environment and script.
        model: file below the peer's models; of cxr-edge a shipped bundle.
        title: how the page calls it.
    """

    peer: str
    model: str
    title: str

    @property
    def name(self) -> str:
        """Its key in the figures."""
        return f"{self.peer}/{self.model}"


BASE_LINE = Contestant(OURS, "mobilenetv2-int8", "**cxr-edge**, INT8")
KERAS = Contestant("keras", "float.keras", "Keras, float")
YOLO = Contestant("ultralytics", "float.pt", "ultralytics, float, its own network")
CONTESTANTS = (
    BASE_LINE,
    KERAS,
    Contestant("keras", "int8.tflite", "Keras, INT8 by TFLiteConverter"),
    Contestant("onnxruntime", "float.onnx", "onnxruntime, float"),
    Contestant("onnxruntime", "int8.onnx", "onnxruntime, INT8 by `quantize_static`"),
    Contestant("onnxruntime", "int8-per-channel.onnx", "the same with `per_channel=True`"),
    Contestant("onnxruntime", "shipped-int8.onnx", "onnxruntime, cxr-edge's INT8 ONNX"),
    Contestant("openvino", "float.xml", "OpenVINO, float"),
    Contestant("openvino", "int8.xml", "OpenVINO, INT8 by NNCF"),
    YOLO,
    Contestant("ultralytics", "int8.tflite", "ultralytics, INT8 TFLite, its own network"),
)


def float_rival(contestant: Contestant) -> Contestant:
    """The float model whose decisions an INT8 model should keep."""
    return YOLO if contestant.peer in OWN_NETWORK else KERAS


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie below the cache folder."""

    cache: Path

    @property
    def inputs(self) -> Path:
        """What :mod:`benchmarks.peers.inputs` writes."""
        return self.cache / "inputs"

    def environment(self, peer: str, *, preparing: bool = False) -> Path:
        """The peer's virtual environment to classify, or to quantize."""
        return self.cache / "environments" / (f"{peer}-prepare" if preparing else peer)

    def site_packages(self, environment: Path) -> Path:
        """What is installed in an environment."""
        return next(environment.glob("lib/python*/site-packages"))

    def models(self, peer: str) -> Path:
        """The folder of a peer's models."""
        return self.cache / "models" / peer

    def model(self, contestant: Contestant) -> Path:
        """A model's file; of cxr-edge the one inside its environment."""
        if contestant.peer != OURS:
            return self.models(contestant.peer) / contestant.model
        packages = self.site_packages(self.environment(OURS))
        return packages / "cxr_edge_models" / contestant.model / "model.tflite"

    def logits(self, contestant: Contestant) -> Path:
        """A contestant's logits of the validation films."""
        return self.cache / "logits" / f"{contestant.peer}-{contestant.model}.tsv"

    def command(self, contestant: Contestant, verb: str, films: Path) -> list[str]:
        """What classifies; ``verb`` is a command of :mod:`benchmarks.peers.interface`."""
        programs = self.environment(contestant.peer) / "bin"
        if contestant.peer == OURS:
            return [str(programs / "cxr-edge"), "classify", *_OUR_OPTIONS[verb], str(films)]
        script = ["-m", f"benchmarks.peers.{contestant.peer}_peer", verb]
        return [str(programs / "python"), *script, str(self.model(contestant)), str(films)]


_OUR_OPTIONS = {"one": [], "folder": ["--recursive"]}
