"""Sphinx extension that turns the stored notebooks into static pages: no kernel, no widgets, nothing from other hosts.

- The text alternative of a figure (`image/png: alt` in an output's metadata) becomes the `alt` of its image.
- Stills of an interactive figure become frames: plain figures below each other, which `course.js` combines into one
  figure with a slider.
- A prediction becomes a question and a list of its choices. What answers it becomes one block. `course.js` makes radio
  buttons of the choices, and closes the block until one is chosen.
- Code that asks a question, draws a figure or checks a claim is folded to one line (see `fold`).
- A row of eight to twelve pictures becomes two rows on a phone.
- Links to a student's copy in `work/` become links to the exercise.
- In a table, Markdown would read the bar of `\\|` as the end of a cell; formulas there use `\\Vert`.
"""

import ast
import html
import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from docutils import nodes
from PIL import Image
from sphinx.util.fileutil import copy_asset

from vae_lessons.widgets import frames

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
NOT_ASKED = "You made no prediction here; pick one above and run this cell again."
# Sentences on clearing the stored outputs, of which this edition closes those that answer a question
ABOUT_OUTPUTS = (
    r"(?:(?<=[.!?] )|(?m:^))[^.\n]*(?:[Cc]lear the stored outputs|Clear Outputs of All|The stored outputs)[^.\n]*\."
)
MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2")


def remove_widgets(notebook):
    """Remove the widgets from a notebook (parsed JSON), in place. Return the metadata of its pictures, in order."""
    notebook["metadata"].pop("widgets", None)
    pictures, choices = [], []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            source = text(cell["source"]).replace("](../work/", "](../exercises/")
            source = re.sub(ABOUT_OUTPUTS, "", source)
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
                choices = [re.sub(r"^\s*\( \) ", "", choice) for choice in plain.splitlines()[1:]]
            elif framed and plain.startswith("Interactive figure"):
                output["data"] = {}
            if "image/png" in output["data"]:
                pictures.append(output["metadata"])
        if "outputs" in cell:
            cell["metadata"]["fold"] = fold(text(cell["source"]), cell["outputs"])
            said = "".join(text(output.get("text", "")) for output in cell["outputs"])
            if measured := re.search(rf"^Measured: (.*)\n{re.escape(NOT_ASKED)}$", said, flags=re.M):
                cell["metadata"]["measured"] = choices.index(measured[1])
    return pictures


def text(source):
    """Return a string that nbformat may store as a list of lines."""
    return source if isinstance(source, str) else "".join(source)


def fold(source, outputs):
    """Return the line to which a cell's code is folded, or None if the code stays in sight.

    Folded is code that a reader can skip:

    - the question of a prediction, which the cell shows below;
    - a figure: its code contains the words that describe it, and they should not come before the picture;
    - checks: two thirds of the lines assert something or print a fixed sentence. If a cell defines a function, prints a
      computed number or answers a prediction, it stays.

    One line of code stays as well: it is as short as the line that would replace it.
    """
    lines = sum(bool(line.strip()) for line in source.split("\n"))
    tree = ast.parse(source)
    parts = list(ast.walk(tree))
    checks = [part for part in tree.body if any(map(asserts, ast.walk(part)))]
    prints = [part for part in parts if calls(part, "print")]
    fixed = [part for part in prints if all(isinstance(said, ast.Constant) for said in part.args)]
    if lines < 2:
        return None
    if any(calls(part, "ask") for part in parts):
        return f"Code of the question ({lines} lines)"
    if any("image/png" in output.get("data", {}) for output in outputs) or any(calls(p, "live_figure") for p in parts):
        return f"Code of the figure ({lines} lines)"
    if any(isinstance(part, (ast.FunctionDef, ast.ClassDef)) or calls(part, "reveal") for part in parts):
        return None
    covered = sum(part.end_lineno - part.lineno + 1 for part in checks + fixed)
    if checks and len(fixed) == len(prints) and 3 * covered >= 2 * lines:
        return f"Checks ({lines} lines)"
    return None


def calls(part, name):
    """Whether a part of the code is a call of this function or method."""
    called = getattr(part, "func", None)
    return isinstance(part, ast.Call) and name in (getattr(called, "id", None), getattr(called, "attr", None))


def asserts(part):
    """Whether a part of the code is an assertion, or a function of NumPy or PyTorch that makes one."""
    return isinstance(part, ast.Assert) or getattr(part, "attr", "").startswith("assert_")


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
        if bundle["frame"] is None:
            offer_two_rows(app, image)
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


class TwoRows(nodes.image):
    """A picture for narrow windows, beside the one for wide windows."""


def offer_two_rows(app, image):
    """If an image shows rows of eight to twelve pictures, add an image with half as many in a row."""
    path = Path(app.srcdir, image["uri"])
    with Image.open(path) as wide:
        narrow = two_rows(wide)
    if narrow:
        target = path.with_stem(f"{path.stem}-narrow")
        narrow.save(target)
        uri = str(Path(image["uri"]).with_name(target.name))
        app.env.images.add_file(app.env.docname, uri)
        opening, closing = (nodes.raw("", tag, format="html") for tag in ("<picture>", "</picture>"))
        place = image.parent.index(image)
        image.parent[place : place + 1] = [opening, TwoRows(uri=uri, candidates={"*": uri}), image, closing]


def two_rows(picture):
    """Return a picture in which the right half of each row stands below the left half, or None if it has no such rows.

    The pictures in a row are the stretches at the right that are equally wide, with white columns between them. What
    stands left of them labels the rows, and is repeated.
    """
    ink = (np.asarray(picture.convert("L")) < 250).any(axis=0)
    stretches = np.flatnonzero(np.diff(ink, prepend=False, append=False)).reshape(-1, 2)
    widths, gaps = stretches[:, 1] - stretches[:, 0], stretches[1:, 0] - stretches[:-1, 1]
    alike = (abs(widths[:-1] - widths[-1]) <= 1) & (abs(gaps - gaps[-1:]) <= 1)  # up to a pixel, by rounding
    n = 1 + np.cumprod(alike[::-1]).sum()
    if not 8 <= n <= 12:
        return None
    starts = stretches[-n:, 0]
    left, middle, right = starts[0], starts[(n + 1) // 2], picture.width
    height = picture.height + 12
    sheet = Image.new("RGB", (middle, 2 * height - 12), "white")
    for row, (start, end) in enumerate([(left, middle), (middle, right)]):
        sheet.paste(picture.crop((0, 0, left, picture.height)), (0, row * height))
        sheet.paste(picture.crop((start, 0, end, picture.height)), (left, row * height))
    return sheet


def visit_two_rows(translator, node):
    """Write the source of a picture for narrow windows."""
    name = translator.builder.images[node["uri"]]
    source = f"{translator.builder.imgpath}/{name}"
    translator.body.append(f'<source media="(max-width: 600px)" srcset="{source}">')


def fold_cells(app, document):
    """Handle `doctree-read`: fold code, replace the comparison with a prediction, and join what answers a question."""
    cells = [node for node in document.findall(nodes.container) if node.get("nb_element") == "cell_code"]
    for cell in cells:
        if line := cell["cell_metadata"].get("fold"):
            opening = f'<details class="folded"><summary>{line}</summary>'
            cell.insert(0, nodes.raw("", opening, format="html"))
            cell.insert(2, nodes.raw("", "</details>", format="html"))
        if "measured" in cell["cell_metadata"]:
            separate_comparison(cell)
    for cell in cells:
        if "tag_prediction" in cell["classes"]:
            join_answer(cell)


def separate_comparison(cell):
    """Give the lines that compare the measurement with the prediction a block of their own."""
    block = next(node for node in cell.findall(nodes.literal_block) if NOT_ASKED in node.astext())
    before, question, measured, after = re.fullmatch(
        rf"(.*\n|)(.*)\n(Measured: .*)\n{re.escape(NOT_ASKED)}(.*)", block.astext(), flags=re.S
    ).groups()
    lines = f"<p>{html.escape(question)}</p><p>{html.escape(measured)}</p>"
    choice = cell["cell_metadata"]["measured"]
    parts = [nodes.raw("", f'<div class="measured" data-choice="{choice}">{lines}</div>', format="html")]
    for place, words in ((0, before), (len(parts) + 1, after)):
        if words.strip():
            part = block.copy()
            part.rawsource = words.strip("\n")
            part += nodes.Text(words.strip("\n"))
            parts.insert(place, part)
    place = block.parent.index(block)
    block.parent[place : place + 1] = parts


def join_answer(cell):
    """Join what answers a question: all up to the cell that compares, the code after it, and the text after that."""
    section = cell.parent
    answer = nodes.container(classes=["answer"])
    compared = told = False
    for node in section[section.index(cell) + 1 :]:
        is_code = node.get("nb_element") == "cell_code"
        if isinstance(node, nodes.section) or "tag_prediction" in node["classes"] or (told and is_code):
            break
        compared = compared or "measured" in node.get("cell_metadata", {})
        told = compared and not is_code
        section.remove(node)
        answer += node
    section.insert(section.index(cell) + 1, answer)


def bundle_mathjax(app, error):
    """Copy the part of MathJax that typesets TeX, and its fonts, from sphinx-mathjax-offline."""
    if error is None and app.builder.format == "html":
        origin = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
        for name in MATHJAX:
            target = Path(app.outdir, "_static", "mathjax", name)
            copy_asset(origin / name, target if (origin / name).is_dir() else target.parent)


def name_the_language(app, pagename, templatename, context, doctree):
    """Handle `html-page-context`: pages in docs/ru are Russian."""
    if pagename.startswith("docs/ru/"):
        context["language"] = "ru"


def setup(app):
    """Register the extension with Sphinx."""
    app.setup_extension("sphinx.ext.mathjax")
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.add_node(TwoRows, html=(visit_two_rows, lambda *_: None))
    app.connect("source-read", prepare_notebook)
    app.connect("doctree-read", describe_pictures)
    app.connect("doctree-read", fold_cells)
    app.connect("html-page-context", name_the_language)
    app.connect("build-finished", bundle_mathjax)
    return {"version": "1", "parallel_read_safe": True}
