"""Sphinx configuration of the web edition. `make site` builds it from the stored notebooks, without running them."""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
sys.path.insert(0, str(HERE))

project = "A course on variational autoencoders"
author = "The vae_lessons authors"
copyright = "The vae_lessons authors. Text: CC BY 4.0. Code: MIT"
version = release = PROJECT["version"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "reading_edition",
    "live_figures",
]
include_patterns = ["docs/*.md", "docs/ru/*.md", "notebooks/*.ipynb", "exercises/*.ipynb"]
exclude_patterns = [".*", "build", "work", "**/.ipynb_checkpoints"]
root_doc = "docs/index"

nb_execution_mode = "off"
nb_ipywidgets_js = {}  # no widgets, no scripts from other hosts
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
mathjax3_config = {
    "options": {"enableMenu": False},  # with a menu, the Tab key would stop at every formula
    "chtml": {"scale": 0.9},
}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["course.css", "live.css", "mathematics.css"]
html_js_files = [(name, {"defer": "defer"}) for name in ("course.js", "live.js")]
templates_path = ["_templates"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_sidebars = {"docs/index": [], "docs/library": [], "docs/behind_the_course": []}
html_additional_pages = {"index": "start.html"}
html_copy_source = False
html_show_search_summary = False
html_show_sphinx = False
html_theme_options = {
    "logo": {"text": "Variational autoencoders"},
    "navbar_align": "left",
    "navbar_persistent": ["search-button-field"],
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "show_prev_next": True,
    "back_to_top_button": False,
}
