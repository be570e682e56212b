"""The self-test: does this device compute what the bundle was verified with?

A bundle carries golden inputs with the probabilities that the engine gave where the bundle was
made. INT8 kernels of different processors differ by a few of 256 steps, so a probability may change
a little, but a decision must not. Each input is the mean of many films, so a bundle contains no
film of a patient.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.arrays import pack_arrays, unpack_arrays
from cxr_edge_runtime.bundle.manifest import MAX_BYTES, SELFTEST_FILE, Manifest
from cxr_edge_runtime.engines import Engine
from cxr_edge_runtime.errors import BundleInvalid
from cxr_edge_runtime.probability import probability_of

# XNNPACK's kernels for three Cortex-A processors, emulated, agreed with those for x86-64 to six
# digits; LiteRT's plain ones were up to 0.04 away. A wrong kernel gives anything.
MAX_SHIFT = 0.05


@dataclass(frozen=True, slots=True)
class GoldenInputs:
    """Inputs with the probabilities that the engine gave where the bundle was made.

    Attributes:
        inputs: ``[N, H, W] uint8``, model inputs.
        probabilities: ``[N] float32``, their probabilities of the positive label.
        made_with: engine and processor, as text.
    """

    inputs: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    made_with: str

    @classmethod
    def from_bytes(cls, content: bytes, *, name: str = SELFTEST_FILE) -> "GoldenInputs":
        """Read what :meth:`to_bytes` wrote.

        Args:
            content: the bytes of ``selftest.npz``.
            name: what error messages call the file.

        Raises:
            BundleInvalid: it is not such an archive, or has arrays of other names, types or shapes.
        """
        arrays = unpack_arrays(
            content,
            ("inputs", "probabilities", "made_with"),
            file=name,
            max_bytes=MAX_BYTES[SELFTEST_FILE],
        )
        inputs, probabilities, made_with = arrays.values()
        if inputs.dtype != np.uint8 or inputs.ndim != 3 or probabilities.shape != inputs.shape[:1]:
            raise BundleInvalid(f"{name}: not golden inputs (arrays of other types or shapes)")
        if not len(inputs):
            raise BundleInvalid(f"{name}: has no golden inputs")
        words = made_with.astype(np.uint8).tobytes().decode("utf-8", "replace")
        return cls(inputs.astype(np.uint8), probabilities.astype(np.float32), words)

    def to_bytes(self) -> bytes:
        """Return the bytes of ``selftest.npz``; equal arrays give equal bytes."""
        return pack_arrays(
            {
                "inputs": self.inputs,
                "probabilities": self.probabilities,
                "made_with": np.frombuffer(self.made_with.encode(), dtype=np.uint8),
            }
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one golden input on this device.

    Attributes:
        expected: the probability where the bundle was made.
        computed: the probability on this device.
        same_decision: whether both are on the same side of the threshold.
    """

    expected: float
    computed: float
    same_decision: bool

    @property
    def passed(self) -> bool:
        """Whether the decision is the same and the probability close enough."""
        return self.same_decision and abs(self.computed - self.expected) <= MAX_SHIFT


def require_golden_inputs(manifest: Manifest, *, name: str) -> None:
    """Check that a bundle has golden inputs.

    Args:
        manifest: of the bundle.
        name: what the error calls the bundle.

    Raises:
        BundleInvalid: it has none.
    """
    if SELFTEST_FILE not in manifest.files:
        raise BundleInvalid(
            f"{name}: has no golden inputs ({SELFTEST_FILE}), so this device cannot be "
            "compared; convert the model again with this version"
        )


def run_selftest(bundle: Bundle, engine: Engine) -> tuple[GoldenInputs, list[Outcome]]:
    """Run the golden inputs of a bundle on this device.

    Args:
        bundle: a loaded bundle.
        engine: with the bundle's model.

    Returns:
        The golden inputs, and the outcome of each.

    Raises:
        BundleInvalid: the bundle has none, or damaged ones.
        EngineError: the engine failed.
    """
    manifest = bundle.manifest
    require_golden_inputs(manifest, name=str(bundle.path))
    golden = GoldenInputs.from_bytes(bundle.read(SELFTEST_FILE))
    shape = (manifest.preprocess.height, manifest.preprocess.width)
    if golden.inputs.shape[1:] != shape:
        raise BundleInvalid(f"{SELFTEST_FILE}: inputs of {golden.inputs.shape[1:]}, not {shape}")
    outcomes = []
    for image, expected in zip(golden.inputs, golden.probabilities.tolist()):
        computed = probability_of(logit_of(engine, image), manifest)
        threshold = manifest.threshold.value
        outcomes.append(
            Outcome(expected, computed, (computed >= threshold) == (expected >= threshold))
        )
    return golden, outcomes


def logit_of(engine: Engine, image: NDArray[np.uint8]) -> float:
    """The logit of a model input ``[H, W] uint8``."""
    return float(engine.run(image[np.newaxis, :, :, np.newaxis])["logit"][0, 0])
