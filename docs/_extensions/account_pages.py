"""`{page-of-account} FOLDER`: the page of the results of a study that lie beside its account, drawn while the site is built."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from executed_commands import link_to_page, run_command, work_folder
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class PageOfAccount(SphinxDirective):
    """A link to the page, which lies in the site as `pages/NAME.html`. Argument: the folder of results, from that of the document. The content is the link's words."""

    has_content = True
    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        from studies.account.committed_results import results_of

        name, place = self.arguments
        results = Path(self.env.doc2path(self.env.docname)).parent / place
        folder = work_folder(self.env, self.env.docname) / name
        with results_of(results) as file:
            shutil.copytree(file.parent, folder, dirs_exist_ok=True)
        command = f"repdrift visualize --results-file {name}/drift_analysis_results.json --output-dir {name}/drawn --format png"
        code, output = run_command(command, folder.parent)
        if code:
            raise self.error(f"`{command}` ended with {code}:\n{output}")
        page = (folder / "drawn" / "dashboard.html").read_bytes()
        return [link_to_page(self.env, f"{name}.html", page, " ".join(self.content))]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    app.add_directive("page-of-account", PageOfAccount)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
