"""`{figure-gallery}`: every figure of a study and of a comparison, drawn from the committed results while the site is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from executed_commands import run_command, work_folder
from nodes_of_text import code_block, paragraph, section
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_STUDY = "gallery/drift_analysis_results.json"


class FigureGallery(SphinxDirective):
    """A section for each figure: the command, the picture, its caption."""

    def run(self) -> list[nodes.Node]:
        from repdrift.report.figure_files import caption_of
        from repdrift.report.figures import figures
        from repdrift.report.report_data import read_report_data

        folder = work_folder(self.env, self.env.docname)
        command = f"repdrift visualize --results-file {_STUDY} --output-dir figures --format png"
        code, output = run_command(command, folder)
        if code:
            raise self.error(f"`{command}` ended with {code}:\n{output}")
        data = read_report_data(folder / _STUDY)
        made: list[nodes.Node] = []
        for spec in figures():
            if (why := spec.absent(data)) is not None:
                raise self.error(f"the committed study cannot give the figure {spec.name}: {why}")
            of_figure = section(self.state.document, spec.title, f"figure-{spec.name}")
            of_figure += code_block(f"repdrift visualize --figures {spec.name}", "bash")
            of_figure += self._picture(folder / "figures" / f"{spec.name}.png", spec.describe(data))
            of_figure += paragraph(caption_of(spec, data))
            made.append(of_figure)
        return made

    def _picture(self, path: Path, words: str) -> nodes.image:
        if not path.is_file():
            raise self.error(f"{path.name} was not drawn")
        return nodes.image(uri=f"/{path.relative_to(self.env.srcdir).as_posix()}", alt=words)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("figure-gallery", FigureGallery)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
