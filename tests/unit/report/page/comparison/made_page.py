"""Pages of comparisons that are made by hand."""

from repdrift.report.page import page_html
from repdrift.report.page.comparison import comparison_page
from tests.unit.report.page.study.read_page import OWN_SCRIPTS, Page


def made_page(result, sections=None, whole=(), files=None):
    """The page of a comparison, without sections on what moved unless they are given."""
    return comparison_page(result, sections or {}, whole, files or {})


def read_page(page):
    """The page as it is read, without its own scripts, and its HTML."""
    source = page_html(page)
    assert source.count(OWN_SCRIPTS) == 1
    return Page(source[: source.index(OWN_SCRIPTS)] + "</body></html>"), source


def tile(page, name):
    """The tile of that name."""
    (found,) = [each for each in page.tiles if each.name == name]
    return found
