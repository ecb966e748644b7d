"""The page: one self-contained HTML file for a study or a comparison, with charts that answer to filters, hover and keyboard.

contents    what a page holds: headline, tiles, filters, views, run table, downloads
study, comparison   make it from the records of a study and of a comparison
views       the charts, one file each, found through the registry
payload, render     write it as HTML; page.html, page.css and js/ are its parts
"""

from repdrift.report.page.render import page_html

__all__ = ["page_html"]
