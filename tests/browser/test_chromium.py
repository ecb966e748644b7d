"""Without a browser the tests of the page skip with the way to get one, and fail where they must run."""

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import PROGRAM_VARIABLE, REQUIRED_VARIABLE, NoChromiumError, launched, program, refuse


def test_no_program_on_the_path_is_told_with_the_way_to_get_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv(PROGRAM_VARIABLE, raising=False)
    with pytest.raises(
        NoChromiumError, match="none of chromium, .* is on the PATH. Install one, .*apt-get install chromium"
    ):
        program()


def test_a_named_program_that_is_not_there_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PROGRAM_VARIABLE, "/no/such/browser")
    with pytest.raises(NoChromiumError, match="'/no/such/browser', which is no program"):
        program()


def test_a_program_that_is_no_browser_is_told(browser: Browser):
    with pytest.raises(NoChromiumError, match="false did not start as a browser .*Install one"):
        launched(browser.browser_type, "/bin/false")


@pytest.mark.parametrize(("value", "outcome"), [("required", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_tests_skip_unless_they_are_required(monkeypatch: pytest.MonkeyPatch, value: str, outcome: type[BaseException]):
    monkeypatch.setenv(REQUIRED_VARIABLE, value)
    with pytest.raises(outcome, match="nothing to drive"):
        refuse(NoChromiumError("nothing to drive"))


def test_a_word_that_means_nothing_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(REQUIRED_VARIABLE, "yes")
    with pytest.raises(ValueError, match="may be `required` or unset"):
        refuse(NoChromiumError("nothing to drive"))
