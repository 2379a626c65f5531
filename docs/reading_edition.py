"""Turns the stored notebooks into pages for reading: no kernel, no widgets, nothing from another host.

- The words for a figure (`image/png: alt` in an output's metadata) become its text alternative.
- Stills of an interactive figure become frames: plain figures one below the other, which `course.js` makes into one
  figure with a slider.
- A prediction stands as a question with its choices.
- Links to a student's own copy in `work/` lead to the exercise.
- In a table, markdown takes the bars of `\\|` for its own; a formula there gets `\\Vert`.
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


def for_reading(notebook):
    """Change a notebook, as JSON has it, into one without widgets. Returns the metadata of its pictures, in order."""
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
            words = text(output["data"].get("text/plain", ""))
            if output["data"].pop(WIDGET_VIEW, None) and words.startswith("Your prediction."):
                output["data"] = {"text/markdown": prediction(words)}
                cell["metadata"].setdefault("tags", []).append("prediction")
            elif framed and words.startswith("Interactive figure"):
                output["data"] = {}
            if "image/png" in output["data"]:
                pictures.append(output["metadata"])
    return pictures


def text(source):
    """A string that nbformat may hold as a list of lines."""
    return source if isinstance(source, str) else "".join(source)


def prediction(words):
    """The question and its choices in markdown."""
    question, *choices = [re.sub(r"([^\w\s.,?])", r"\\\1", line) for line in words.splitlines()]
    listed = [re.sub(r"^\s*\\\( \\\) ", "- ", choice) for choice in choices]
    return "\n".join([question.replace("Your prediction.", "**Your prediction.**", 1), "", *listed])


def read(app, docname, source):
    """Sphinx has read a file: prepare a notebook."""
    if docname.startswith(("notebooks/", "exercises/")):
        notebook = json.loads(source[0])
        app.env.pictures = for_reading(notebook)
        source[0] = json.dumps(notebook)


def describe(app, document):
    """Sphinx has parsed a file: give pictures their words, and gather frames."""
    bundles = [node for node in document.findall(nodes.container) if node.get("nb_element") == "mime_bundle"]
    pictures = [bundle for bundle in bundles if any(part["mime_type"] == "image/png" for part in bundle)]
    metadata = getattr(app.env, "pictures", [])
    app.env.pictures = []
    for bundle, known in zip(pictures, metadata, strict=True):
        image = next(bundle.findall(nodes.image))
        image["alt"] = known.get("image/png", {}).get("alt", "")
        bundle["frame"] = known.get("vae_lessons")
    for output in document.findall(nodes.container):
        if output.get("nb_element") == "cell_code_output":
            gather(output)


def gather(output):
    """Put the frames of one figure into one container, each with the outputs that describe it."""
    group = None
    for child in list(output.children):
        frame = child.get("frame")
        if frame:
            if group is None or len(group) == group["frames"]:
                group = nodes.container(classes=["frames"], frames=frame["frames"])
                output.insert(output.index(child), group)
            output.remove(child)
            image = next(child.findall(nodes.image))
            sentence = image["alt"].removeprefix(frame["label"] + ": ")
            caption = nodes.caption(frame["label"], frame["label"])
            figure = nodes.figure("", image, caption)
            if sentence != image["alt"]:
                figure += nodes.legend("", nodes.paragraph(sentence, sentence))
            output.document.set_id(figure)
            group += nodes.container("", figure, classes=["frame"])
        elif group is not None and (len(group) < group["frames"] or len(group[-1]) < len(group[0])):
            output.remove(child)
            group[-1] += child


def bundle_mathjax(app, error):
    """Copy the part of MathJax that typesets TeX, and its fonts; sphinx-mathjax-offline has all of it."""
    if error is None and app.builder.format == "html":
        origin = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
        for name in MATHJAX:
            target = Path(app.outdir, "_static", "mathjax", name)
            copy_asset(origin / name, target if (origin / name).is_dir() else target.parent)


def setup(app):
    """Sphinx calls this."""
    app.setup_extension("sphinx.ext.mathjax")
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("source-read", read)
    app.connect("doctree-read", describe)
    app.connect("build-finished", bundle_mathjax)
    return {"version": "1", "parallel_read_safe": True}
