"""A classifier by the name or folder of its bundle."""

import os

from cxr_edge.bundles.lookup import load_accepted_bundle
from cxr_edge_runtime import classifier
from cxr_edge_runtime.arguments import check_flags
from cxr_edge_runtime.bundle import Bundle


class Classifier(classifier.Classifier):
    """A bundle ready to classify; threads may share it, and classify one after the other.

    >>> classifier = Classifier("tiny")
    >>> prediction = classifier.classify("film.jpeg")
    >>> prediction.label, prediction.gate.verdict
    ('PNEUMONIA', 'accepted')
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle | None = None,
        *,
        threads: int = 1,
        engine: str | None = None,
        prevalence: float | None = None,
        allow_rejected: bool = False,
    ) -> None:
        """Load a bundle and its model.

        Args:
            bundle: the name of a shipped bundle, such as ``tiny``; a folder; or a loaded bundle.
                None is the installed bundle, or the default one of those that ship where none is
                installed.
            threads: threads of the engine, 1 to 64; several classifiers with one thread each
                classify more images per second.
            engine: ``ai-edge-litert``, ``tflite-runtime`` or ``onnxruntime``; None is the first
                that is installed and runs the bundle.
            prevalence: the share of pneumonias where the films come from, 0.0001 to 0.9999.
                Probability and threshold are moved to it by Bayes' rule; no decision changes. None
                leaves both as the bundle has them.
            allow_rejected: take a bundle whose model missed a limit when it was converted; every
                prediction then has a warning.

        Raises:
            InvalidRequest: no bundle, no such number of threads, no engine of that name, or a
                prevalence that cannot be.
            BundleNotFound: neither a folder nor a shipped bundle.
            BundleRejected: the model missed a limit when it was converted.
            BundleError: the bundle cannot be used.
            EngineError: the model cannot be loaded; :class:`EngineMissing` where no engine is
                installed that runs it.
        """
        check_flags(allow_rejected=allow_rejected)
        super().__init__(
            load_accepted_bundle(bundle, allow_rejected=allow_rejected),
            threads=threads,
            engine=engine,
            prevalence=prevalence,
        )
