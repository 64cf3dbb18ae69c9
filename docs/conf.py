"""The documentation site. Build it, with every warning an error: ``sphinx-build -W docs build/site``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import s3fd

project = "s3fd"
author = "the authors of s3fd"
copyright = author
version = release = s3fd.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "_site.commands",
    "_site.modules",
    "_site.repository",
]
exclude_patterns = ["_site"]

# Pages are plain Markdown, readable without the site. A link to a heading is checked like any other.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["misc.highlighting_failure"]  # of JSON with an ellipsis in it

nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!s3fd\.).*"),  # parameters in backticks, and other people's types
    ("py:.*", r"s3fd\..*\.([A-Z]|_\w+)"),  # type variables, and what is not public
]
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 90
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # the signature has them
default_role = "py:obj"
smartquotes = False  # they would change what is to be typed

html_title = "s3fd"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_exclude = ".linenos, .gp, .go"
