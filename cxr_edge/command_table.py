"""The commands of ``cxr-edge``, for their help: importing each would take longer than the help."""

from typing import NamedTuple


class Command(NamedTuple):
    """A command, which is the function of its name in the module of its name.

    Attributes:
        extra: what it needs installed.
        summary: the first line of its help. Repeated here, since the help of all would wait for the
            import of each.
        examples: shown below its help.
        stopped: what Ctrl-C leaves, where it does not say so itself.
    """

    extra: str | None
    summary: str
    examples: tuple[str, ...]
    stopped: str = "each output is complete or was not written"


_RESUMES = "every epoch that ended is saved; the same command resumes"

# The order is that of the help.
GROUPS: dict[str, dict[str, Command]] = {
    "On a device": {
        "classify": Command(
            None,
            "Classify chest X-rays: JPEG, PNG, TIFF, BMP, WebP, DICOM.",
            (
                "cxr-edge classify image.jpeg",
                "cxr-edge classify -r images/ --csv answers.csv --heatmap maps",
                "cxr-edge classify --json film.dcm",
            ),
            "the CSV file was not written",
        ),
        "selftest": Command(
            None,
            "Check that this device computes the answers that were verified.",
            ("cxr-edge selftest", "cxr-edge selftest tiny"),
            "",
        ),
        "benchmark": Command(
            None,
            "Measure time and memory on this device in half a minute.",
            ("cxr-edge benchmark", "cxr-edge benchmark tiny --images images/"),
            "",
        ),
        "info": Command(
            None,
            "Show what a bundle is, how good it is, and its limits.",
            ("cxr-edge info", "cxr-edge info tiny --json", "cxr-edge info --list"),
            "",
        ),
        "serve": Command(
            "serve",
            "Serve a page and an API that classify films.",
            (
                "cxr-edge serve",
                "cxr-edge serve --host 0.0.0.0 --token-file token.txt",
            ),
            "",
        ),
        "watch": Command(
            None,
            "Classify films as they come into a folder.",
            ("cxr-edge watch incoming --to answers",),
        ),
    },
    "Bundles and many films": {
        "verify": Command(
            "signed",
            "Check that a bundle is intact, and with --key who signed it.",
            ("cxr-edge verify bundles/int8", "cxr-edge verify clinic.cxr.zip --key key.pub.pem"),
            "",
        ),
        "pack": Command(
            "signed",
            "Pack a bundle as one file for devices, signed or not.",
            ("cxr-edge pack bundles/int8 -o int8.cxr.zip --sign key.pem",),
        ),
        "install": Command(
            "signed",
            "Install the bundle of an archive; keep the previous one.",
            (
                "cxr-edge install int8.cxr.zip --key key.pub.pem",
                "cxr-edge install --rollback",
            ),
            "the old or the new bundle is in use: cxr-edge info shows which",
        ),
        "drift": Command(
            "drift",
            "Check for drift since verification.",
            ("cxr-edge drift log.db -o drift.png",),
        ),
        "score": Command(
            "ray",
            "Score an archive with Ray into a folder of Parquet files.",
            ("cxr-edge score archive/ -o scores",),
        ),
    },
    "From images to a bundle": {
        "clean": Command(
            "train",
            "Check every image of a data set; write its metadata.",
            (
                "cxr-edge clean chest_xray -o clean_metadata.csv",
                "cxr-edge clean adults --labels adults/labels.csv -o adults.csv",
            ),
        ),
        "split": Command(
            "train",
            "Split images into train, validation and test by patient.",
            ("cxr-edge split clean_metadata.csv -o splits.csv --seed 0",),
        ),
        "eda": Command(
            "train",
            "Explore a cleaned data set: an HTML page with figures.",
            ("cxr-edge eda clean_metadata.csv -o eda",),
        ),
        "train": Command(
            "train",
            "Train a classifier.",
            (
                "cxr-edge train clean_metadata.csv --splits splits.csv -o run",
                "cxr-edge train clean_metadata.csv --recipe models/recipes/tiny.toml "
                "--locator models/float/lung-locator -o run-tiny",
            ),
            _RESUMES,
        ),
        "compare": Command(
            "train",
            "Train several networks and choose one by its recall.",
            (
                "cxr-edge compare clean_metadata.csv --architectures mobilenetv2,densenet121 "
                "-o comparison",
            ),
            _RESUMES,
        ),
        "train-locator": Command(
            "convert",
            "Train a lung locator, and convert it to TFLite and ONNX.",
            ("cxr-edge train-locator clean_metadata.csv --masks masks/ -o locator",),
            _RESUMES,
        ),
        "import": Command(
            "convert",
            "Import a Keras classifier that was trained elsewhere.",
            ("cxr-edge import own.keras --metadata clean_metadata.csv --scaling 0-1 -o own-run",),
        ),
        "convert": Command(
            "convert",
            "Quantize a trained model and verify each variant.",
            (
                "cxr-edge convert run --int8 -o new-bundles",
                "cxr-edge convert run --all --format both -o bundles-all",
            ),
        ),
        "report": Command(
            "convert",
            "Rewrite the report of a conversion.",
            ("cxr-edge report bundles",),
        ),
        "evaluate": Command(
            "train",
            "Measure a run or a bundle on labelled images.",
            (
                "cxr-edge evaluate bundles/int8 clean_metadata.csv --splits splits.csv "
                "-o evaluation",
            ),
        ),
        "calibrate": Command(
            "calibrate",
            "Fit a bundle's threshold and probability to your films.",
            (
                "cxr-edge calibrate mobilenetv2-int8 adults.csv --site clinic --min-films 20 "
                "-o clinic",
            ),
        ),
        "compare-bundles": Command(
            "train",
            "Compare two bundles on the same films before an update.",
            ("cxr-edge compare-bundles mobilenetv2-int8 clinic adults.csv -o update",),
        ),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
