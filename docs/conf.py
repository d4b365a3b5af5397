"""How the documentation is built, by `sphinx-build -W docs build/docs/html`; that runs the code in its pages."""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))
# What the pages run: without TensorFlow's notices, and with the commands of the environment that builds.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["PATH"] = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
os.environ["COLUMNS"] = "100"

project = "tf_metamapg"
author = copyright = "the authors of tf_metamapg"
extensions = [
    "myst_nb", "reference", "sphinx-mathjax-offline", "sphinx.ext.autodoc", "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]

html_theme = "furo"
html_title = "tf_metamapg"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False

myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]
nb_execution_mode = "cache"
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_output_stderr = "remove"  # progress bars
nb_render_markdown_format = "gfm"

# Docstrings have `names` in single backticks; what a constructor takes is described with its class.
default_role = "code"
highlight_language = "none"
autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
