"""A study's page as its reader sees it: texts and tags, without the page's own program and data."""

from html.parser import HTMLParser

from repdrift.report.page import page_html
from repdrift.report.page.study import study_page

VOID = {"meta", "img", "br", "link"}
OWN_SCRIPTS = '<script type="application/json" id="page-data"'
"""The first of the page's own scripts; all of them stand at its end."""


class Page(HTMLParser):
    """Text and tags of a page; fails where a tag is closed that is not the open one."""

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.text, self.ids, self.links = [], [], [], [], []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def page_source(data, figures=()):
    """The page's HTML before its own scripts, which its data are part of."""
    source = page_html(study_page(data, figures))
    assert source.count(OWN_SCRIPTS) == 1
    return source[: source.index(OWN_SCRIPTS)] + "</body></html>"


def read_page(data, figures=()):
    """The page as it is read."""
    return Page(page_source(data, figures))
