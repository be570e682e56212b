"""TFLite models through LiteRT (``ai-edge-litert``), or its predecessor ``tflite-runtime``."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle.manifest import InputEntry
from cxr_edge_runtime.engines.interface import Outputs, check_input, check_names, to_stored
from cxr_edge_runtime.errors import EngineError
from cxr_edge_runtime.native_output import stderr_silenced

# The identifier every TFLite flatbuffer has at byte 4.
_MAGIC = b"TFL3"


class LiteRtEngine:
    """A TFLite model in an interpreter of its own, which runs one image at a time."""

    def __init__(
        self,
        module: Any,
        name: str,
        model: bytes,
        entry: InputEntry,
        outputs: tuple[str, ...],
        *,
        threads: int = 1,
    ) -> None:
        """Load a model.

        Args:
            module: the imported module that has the class ``Interpreter``.
            name: of its package.
            model: bytes of the ``.tflite`` file.
            entry: the manifest's description of the input, compared with the model's own.
            outputs: the names of its outputs, compared too.
            threads: threads of the interpreter.

        Raises:
            EngineError: the interpreter refuses the model, or the model breaks the contract.
        """
        if model[4:8] != _MAGIC:
            raise EngineError("the model is not a TFLite file")
        self.name = name
        # The interpreter has one set of tensors: another thread would overwrite them.
        self._lock = threading.Lock()
        try:
            with stderr_silenced():
                interpreter = module.Interpreter(model_content=model, num_threads=threads)
                interpreter.allocate_tensors()
            self._runner = interpreter.get_signature_runner()
            self._interpreter = interpreter  # the runner does not keep it alive
            self._entry = entry
            self._check_contract(outputs)
        # Of a damaged graph some tensors are looked up only when they are asked for.
        except (ValueError, RuntimeError, LookupError, TypeError) as error:
            said = " ".join(str(error).split())  # some have several lines
            raise EngineError(
                f"{self.name} cannot load the model ({said}); choose another engine, or convert "
                "the model again"
            ) from error

    def run(self, image: NDArray[np.uint8]) -> Outputs:
        """See :class:`cxr_edge_runtime.engines.interface.Engine`."""
        try:
            with self._lock:
                outputs: Outputs = self._runner(image=to_stored(image, self._entry))
        except (ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())
            raise EngineError(f"{self.name} cannot run the model ({said})") from error
        return outputs

    @property
    def kernels(self) -> str:
        """XNNPACK where the engine took it, else the kernels built into TFLite."""
        # No public function tells; the engine lists a delegate among its operators.
        operators = self._interpreter._get_ops_details()
        return "XNNPACK" if any(op["op_name"] == "DELEGATE" for op in operators) else "built-in"

    def _check_contract(self, names: tuple[str, ...]) -> None:
        inputs = self._runner.get_input_details()
        outputs = {
            name: (_shape(output), np.dtype(output["dtype"]).name)
            for name, output in self._runner.get_output_details().items()
        }
        check_names(set(inputs), outputs, names)
        image = inputs["image"]
        scale, zero_point = image["quantization"]
        # A float tensor states no scale (0.0, 0): its values are grey values as they are.
        dtype = np.dtype(image["dtype"]).name
        check_input(_shape(image), dtype, float(scale) or 1.0, int(zero_point), self._entry)


def _shape(details: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(side) for side in details["shape"])
