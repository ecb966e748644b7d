"""`{study-figures}` and `{comparison-figures}`: every figure and the page, drawn from the committed results while the site is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from executed_commands import link_to_page, run_command, work_folder
from nodes_of_text import code_block, paragraph, section
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_STUDY = "gallery/drift_analysis_results.json"
_DPI = 200


class Gallery(SphinxDirective):
    """The folder and the pictures of a gallery."""

    @property
    def folder(self) -> Path:
        """The folder of the page, with the committed results in it."""
        return work_folder(self.env, self.env.docname)

    def picture(self, path: Path, words: str) -> nodes.image:
        """Returns a picture. words: for readers who cannot see it."""
        if not path.is_file():
            raise self.error(f"{path.name} was not drawn")
        return nodes.image(uri=f"/{path.relative_to(self.env.srcdir).as_posix()}", alt=words)


class StudyFigures(Gallery):
    """A section for each figure of a study: the command, the picture, its caption; and the page."""

    def run(self) -> list[nodes.Node]:
        from repdrift.report.figure_files import caption_of
        from repdrift.report.figures import figures
        from repdrift.report.report_data import read_report_data

        command = f"repdrift visualize --results-file {_STUDY} --output-dir figures --format png"
        code, output = run_command(command, self.folder)
        if code:
            raise self.error(f"`{command}` ended with {code}:\n{output}")
        data = read_report_data(self.folder / _STUDY)
        page = (self.folder / "figures" / "dashboard.html").read_bytes()
        made: list[nodes.Node] = [link_to_page(self.env, "study.html", page, "Open the page of this study")]
        for spec in figures():
            of_figure = section(self.state.document, spec.title, f"figure-{spec.name}")
            of_figure += code_block(f"repdrift visualize --figures {spec.name}", "bash")
            if (why := spec.absent(data)) is None:
                of_figure += self.picture(self.folder / "figures" / f"{spec.name}.png", spec.describe(data))
                of_figure += paragraph(caption_of(spec, data))
            else:
                of_figure += paragraph(f"The committed results cannot give it: {why}.")
            made.append(of_figure)
        return made


class ComparisonFigures(Gallery):
    """A section for each figure of a comparison: how to draw it again, and the picture; and the page."""

    def run(self) -> list[nodes.Node]:
        import repdrift
        from repdrift.comparison.page import page_of
        from repdrift.core.shared_paths import shareable

        results = repdrift.load_results(self.folder / "comparison")
        (self.folder / "compared").mkdir(exist_ok=True)
        page = page_of(shareable(results.record), {})
        made: list[nodes.Node] = [link_to_page(self.env, "comparison.html", page, "Open the page of this comparison")]
        for name in results.figure_names:
            figure = results.plot(name)
            path = self.folder / "compared" / f"{name}.png"
            figure.savefig(path, dpi=_DPI)
            of_figure = section(self.state.document, figure.words.title, f"compared-{name}")
            of_figure += code_block(f'repdrift.load_results("results/comparison").plot("{name}")', "python")
            of_figure += self.picture(path, figure.words.description)
            made.append(of_figure)
        return made


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("study-figures", StudyFigures)
    app.add_directive("comparison-figures", ComparisonFigures)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
