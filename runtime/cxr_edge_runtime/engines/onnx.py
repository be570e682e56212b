"""ONNX models through ONNX Runtime on the processor."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle.manifest import InputEntry
from cxr_edge_runtime.engines.interface import Outputs, check_input, check_names, to_stored
from cxr_edge_runtime.errors import EngineError

# ONNX Runtime's numbers: errors only; warnings about the graph are nothing a user can act on.
_ERRORS_ONLY = 3
# Products of unsigned and signed bytes overflow on x86 without VNNI instructions; with this entry
# ONNX Runtime multiplies unsigned bytes there (kOrtSessionOptionsAvx2PrecisionMode).
EXACT_INT8 = ("session.x64quantprecision", "1")


class OnnxEngine:
    """An ONNX model in a session of its own."""

    def __init__(
        self,
        onnxruntime: Any,
        name: str,
        model: bytes,
        entry: InputEntry,
        outputs: tuple[str, ...],
        *,
        threads: int = 1,
        exact: bool = True,
    ) -> None:
        """Load a model.

        Args:
            onnxruntime: the imported module.
            name: of its package.
            model: bytes of the ``.onnx`` file.
            entry: the manifest's description of the input, compared with the model's own.
            outputs: the names of its outputs, compared too.
            threads: threads of one inference.
            exact: multiply INT8 exactly on every processor; False leaves it to ONNX Runtime, as
                sessions with its default options do.

        Raises:
            EngineError: the session refuses the model, or the model breaks the contract.
        """
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # Threads that spin while they wait take the other cores' time from other work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if exact:
            options.add_session_config_entry(*EXACT_INT8)
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no base class of their own
            raise EngineError(
                f"{self.name} cannot load the model ({error}); choose another engine, or convert "
                "the model again"
            ) from error
        self._entry = entry
        self._names = outputs
        self._check_contract(outputs)

    def run(self, image: NDArray[np.uint8]) -> Outputs:
        """See :class:`cxr_edge_runtime.engines.interface.Engine`."""
        try:
            values = self._session.run(self._names, {"image": to_stored(image, self._entry)})
        except Exception as error:  # as above
            raise EngineError(f"{self.name} cannot run the model ({error})") from error
        return dict(zip(self._names, values))

    @property
    def kernels(self) -> str:
        """The providers that the session took."""
        return ", ".join(self._session.get_providers())

    def _check_contract(self, names: tuple[str, ...]) -> None:
        inputs = {value.name: value for value in self._session.get_inputs()}
        outputs = {
            value.name: (tuple(value.shape), _dtype(value.type))
            for value in self._session.get_outputs()
        }
        check_names(set(inputs), outputs, names)
        image = inputs["image"]
        # ONNX gives tensors no scale: values are grey values as they are.
        check_input(tuple(image.shape), _dtype(image.type), 1.0, 0, self._entry)


def _dtype(onnx_type: str) -> str:
    return "float32" if onnx_type == "tensor(float)" else onnx_type
