"""The model card as a page of its own."""

from html import escape

from markdown_it import MarkdownIt

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import CARD_FILE, NOTICE


def card_page(bundle: Bundle) -> str:
    """HTML of a bundle's card; its pictures lie elsewhere and are left out."""
    text = bundle.read(CARD_FILE).decode("utf-8", "replace")
    if text.startswith("---\n"):  # Hugging Face's front matter
        text = text.partition("\n---\n")[2]
    # The commonmark preset passes HTML through; a card may come from anywhere.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model card: {escape(bundle.manifest.name)}</title>
<link rel="icon" href="icon.svg">
<link rel="stylesheet" href="page.css">
</head>
<body>
<p class="notice" role="note">{escape(NOTICE)}</p>
<main class="card-page">
<p><a href="./">Back to the films</a></p>
{markdown.render(text)}
</main>
</body>
</html>
"""
