"""``cxr-edge clean``."""

from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.terminal import progress_bar, say


def clean(
    data_dir: Annotated[
        Path,
        typer.Argument(
            help="Folder with train|val|test / NORMAL|PNEUMONIA; val and test may be absent."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The metadata file to write.")
    ] = Path("clean_metadata.csv"),
    patient_pattern: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Finds the patient in a file name: the group named 'patient', else the first.",
        ),
    ] = None,
) -> None:
    """Check every image of a data set and write clean_metadata.csv.

    Unreadable files, exact duplicates and images under two labels are left out and listed in a
    second file. No image is changed or deleted.
    """
    from cxr_edge_train.dataset.metadata import clean as clean_dataset
    from cxr_edge_train.dataset.metadata import left_out_path
    from cxr_edge_train.dataset.patients import compile_patient_pattern

    pattern = compile_patient_pattern(patient_pattern) if patient_pattern else None
    result = clean_dataset(
        data_dir, output, pattern=pattern, progress=progress_bar("checking images")
    )
    unknown = sum(record.patient == "" for record in result.kept)
    if unknown:
        say(
            f"warning: the patient of {unknown} of {len(result.kept)} images is unknown; each "
            "counts as a patient of its own, so films of one person may fall on both sides of a "
            "split. Give --patient-pattern if the file names tell."
        )
    typer.echo(f"kept {len(result.kept)} images: {output}")
    typer.echo(f"left out {len(result.left_out)} files: {left_out_path(output)}")
