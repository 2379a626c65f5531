"""Sphinx extension for figures that are alive in the page. Their weights are scripts, loaded when a figure needs them.

- An output that `vae_lessons.live.live_figure` made becomes an element that the page's script fills.
- The frames of the figures below become such an element, too; without script they stay frames.
"""

import html
import json
from pathlib import Path

from docutils import nodes

from vae_lessons import live

HERE = Path(__file__).parent
IN_FRAMES = {  # by page: the live figure for each figure in frames, in order; None for those that stay frames
    "notebooks/02_gaussian_sampling": ["ellipse"],
    "notebooks/04_kl_divergence": ["pull"],
    "notebooks/05_jensen_elbo": ["chord", "gap"],
    "notebooks/06_reconstruction_losses": ["losses"],
}


def mark_outputs(app, docname, source):
    """Handle `source-read`: replace the outputs of live figures by elements that hold the stored picture."""
    if not docname.startswith("notebooks/"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            about = output.get("metadata", {})
            if name := about.get("vae_lessons", {}).get("live"):
                picture = "".join(output["data"]["image/png"]).replace("\n", "")
                words = html.escape(about["image/png"]["alt"])
                image = f'<img alt="{words}" src="data:image/png;base64,{picture}">'
                output["data"] = {"text/html": f'<div class="live live-{name}" id="live-{name}">{image}</div>'}
                output["metadata"] = {}
    source[0] = json.dumps(notebook)


def mark_frames(app, document):
    """Handle `doctree-read`: mark figures in frames."""
    found = [node for node in document.findall(nodes.container) if "frames" in node["classes"]]
    for node, name in zip(found, IN_FRAMES.get(app.env.docname, [None] * len(found)), strict=True):
        if name:
            node["classes"] += ["live", f"live-{name}"]
            node["ids"].append(f"live-{name}")


def write_scripts(app, error):
    """Handle `build-finished`: write the scripts, as one that keeps its names to itself, and the weights."""
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir, "_static")
        parts = [
            live.script(),
            *((HERE / name).read_text(encoding="utf-8") for name in ("_static/mathematics.js", "loader.js")),
        ]
        (folder / "live.js").write_text("(() => {\n" + "\n".join(parts) + "})();\n", encoding="utf-8")
        (folder / "live.css").write_text((live.FOLDER / "live.css").read_text(encoding="utf-8"), encoding="utf-8")
        for name in live.NAMES:
            call = f"receiveWeights({json.dumps(name)}, {live.weights(name)});\n"
            (folder / f"weights_{name}.js").write_text(call, encoding="ascii")


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("source-read", mark_outputs, priority=400)  # before reading_edition
    app.connect("doctree-read", mark_frames, priority=600)  # after it
    app.connect("build-finished", write_scripts)
    return {"version": "1", "parallel_read_safe": True}
