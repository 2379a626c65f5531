"""Sphinx extension that turns the stored notebooks into static pages: no kernel, no widgets, nothing from other hosts.

- The text alternative of a figure (`image/png: alt` in an output's metadata) becomes the `alt` of its image.
- Stills of an interactive figure become frames: plain figures below each other, which `course.js` combines into one
  figure with a slider.
- A prediction becomes a question and a list of its choices.
- Links to a student's copy in `work/` become links to the exercise.
- In a table, Markdown would read the bar of `\\|` as the end of a cell; formulas there use `\\Vert`.
"""

import json
import re
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from sphinx.util.fileutil import copy_asset

from vae_lessons.widgets import frames

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2")


def remove_widgets(notebook):
    """Remove the widgets from a notebook (parsed JSON), in place. Return the metadata of its pictures, in order."""
    notebook["metadata"].pop("widgets", None)
    pictures = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            source = text(cell["source"]).replace("](../work/", "](../exercises/")
            cell["source"] = re.sub(r"^\|.*\$.*$", lambda row: row[0].replace(r"\|", r"\Vert "), source, flags=re.M)
        if "outputs" in cell:
            cell["outputs"] = [part for output in cell["outputs"] for part in frames(output) or [output]]
        shown = [output for output in cell.get("outputs", []) if "data" in output]
        framed = any("vae_lessons" in output["metadata"] for output in shown)
        for output in shown:
            plain = text(output["data"].get("text/plain", ""))
            if output["data"].pop(WIDGET_VIEW, None) and plain.startswith("Your prediction."):
                output["data"] = {"text/markdown": prediction(plain)}
                cell["metadata"].setdefault("tags", []).append("prediction")
            elif framed and plain.startswith("Interactive figure"):
                output["data"] = {}
            if "image/png" in output["data"]:
                pictures.append(output["metadata"])
    return pictures


def text(source):
    """Return a string that nbformat may store as a list of lines."""
    return source if isinstance(source, str) else "".join(source)


def prediction(plain):
    """Return the question and its choices as Markdown."""
    question, *choices = [re.sub(r"([^\w\s.,?])", r"\\\1", line) for line in plain.splitlines()]
    items = [re.sub(r"^\s*\\\( \\\) ", "- ", choice) for choice in choices]
    return "\n".join([question.replace("Your prediction.", "**Your prediction.**", 1), "", *items])


def prepare_notebook(app, docname, source):
    """Handle `source-read`: if the file is a notebook, prepare it."""
    if docname.startswith(("notebooks/", "exercises/")):
        notebook = json.loads(source[0])
        app.env.pictures = remove_widgets(notebook)
        source[0] = json.dumps(notebook)


def describe_pictures(app, document):
    """Handle `doctree-read`: set the text alternatives of pictures, and group frames."""
    bundles = [node for node in document.findall(nodes.container) if node.get("nb_element") == "mime_bundle"]
    pictures = [bundle for bundle in bundles if any(part["mime_type"] == "image/png" for part in bundle)]
    metadata = getattr(app.env, "pictures", [])
    app.env.pictures = []
    for bundle, entry in zip(pictures, metadata, strict=True):
        image = next(bundle.findall(nodes.image))
        image["alt"] = entry.get("image/png", {}).get("alt", "")
        bundle["frame"] = entry.get("vae_lessons")
    for output in document.findall(nodes.container):
        if output.get("nb_element") == "cell_code_output":
            group_frames(output)


def group_frames(output):
    """Put the frames of a figure into one container, each with the outputs that describe it."""
    group = None
    for child in list(output.children):
        frame = child.get("frame")
        if frame:
            if group is None or len(group) == group["frames"]:
                group = nodes.container(classes=["frames"], frames=frame["frames"])
                output.insert(output.index(child), group)
            output.remove(child)
            image = next(child.findall(nodes.image))
            description = image["alt"].removeprefix(frame["label"] + ": ")
            caption = nodes.caption(frame["label"], frame["label"])
            figure = nodes.figure("", image, caption)
            if description != image["alt"]:
                figure += nodes.legend("", nodes.paragraph(description, description))
            output.document.set_id(figure)
            group += nodes.container("", figure, classes=["frame"])
        elif group is not None and (len(group) < group["frames"] or len(group[-1]) < len(group[0])):
            output.remove(child)
            group[-1] += child


def bundle_mathjax(app, error):
    """Copy the part of MathJax that typesets TeX, and its fonts, from sphinx-mathjax-offline."""
    if error is None and app.builder.format == "html":
        origin = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
        for name in MATHJAX:
            target = Path(app.outdir, "_static", "mathjax", name)
            copy_asset(origin / name, target if (origin / name).is_dir() else target.parent)


def setup(app):
    """Register the extension with Sphinx."""
    app.setup_extension("sphinx.ext.mathjax")
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("source-read", prepare_notebook)
    app.connect("doctree-read", describe_pictures)
    app.connect("build-finished", bundle_mathjax)
    return {"version": "1", "parallel_read_safe": True}
