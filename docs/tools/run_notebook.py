"""Run the notebook and store its outputs: ``python docs/tools/run_notebook.py``.

Nothing of the machine is stored: no times, no counts, no warnings of libraries.
"""

import base64
import io
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

# Of a picture's width in pixels, as large as the site shows it.
_WIDEST = 900

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "pipeline.ipynb"


def cleaned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without what differs between machines and runs."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type != "code":
            continue
        cell.execution_count = None
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = None
            if picture := output.get("data", {}).get("image/png"):
                output.data["image/png"] = _small(picture)
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def _small(picture: str) -> str:
    """A PNG file in Base64 as one of fewer pixels and colours."""
    with Image.open(io.BytesIO(base64.b64decode(picture))) as opened:
        small = opened.convert("RGB")
    small.thumbnail((_WIDEST, small.height))
    file = io.BytesIO()
    small.quantize(128).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def main() -> None:
    """Run all cells in the notebook's folder, and write it again."""
    notebook = nbformat.read(  # type: ignore[no-untyped-call]
        NOTEBOOK, as_version=nbformat.NO_CONVERT
    )
    client = NotebookClient(notebook, resources={"metadata": {"path": str(NOTEBOOK.parent)}})
    client.execute()
    nbformat.write(cleaned(notebook), NOTEBOOK)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
