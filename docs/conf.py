"""Sphinx settings of the documentation. `make docs` builds it into docs/_build/html; warnings are errors."""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent / "src")]

# The notebooks lie where readers of the repository look for them, and pages lie below this folder.
shutil.copytree(
    HERE.parent / "examples", HERE / "notebooks", dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*", "README.md")
)

from repdrift.version import __version__  # noqa: E402  (after the path of the tree at hand)

project = "repdrift"
author = "The repdrift authors"
project_copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "account_pages",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "executed_commands",
    "command_line_reference",
    "docstring_text",
    "figure_gallery",
    "files_of_repository",
    "page_descriptions",
    "record_fields",
]
exclude_patterns = [
    "_build",
    "_extensions",
    "results",
    "studies/*/figures*/**/captions.md",
    "studies/*/figures*/captions.md",
]
smartquotes = False  # it makes one dash of the two before an option
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other libraries, which have no page here
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"repdrift {__version__}"
html_static_path = ["_static"]
html_css_files = ["repdrift.css"]
html_extra_path = ["_build/extra"]
html_copy_source = False
html_show_sphinx = False
html_show_search_summary = False  # it fetches pages, which a browser refuses for files on the disk

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = ["ref.python"]  # a type of one name in two modules: signatures name it without its module

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_excludepatterns = ["notebooks/*"]  # they hold what they put out, and the test suite executes them
nb_merge_streams = True

copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_use_type_comments = False
