"""The page is silent, asks for nothing, and runs no script but its own."""

from tests.browser.findings import of_closedness, of_silence
from tests.browser.opened_page import OpenedPage


def test_nothing_is_said_on_the_console(shown: OpenedPage):
    assert of_silence(shown) == []


def test_nothing_is_asked_for(shown: OpenedPage):
    assert of_closedness(shown) == []


def test_a_script_that_is_put_into_the_page_does_not_run(shown: OpenedPage):
    before = len(shown.said)
    shown.ask(
        """() => {
          const script = document.createElement('script');
          script.textContent = 'window.planted = "inline"';
          document.body.append(script);
          const button = document.createElement('button');
          button.setAttribute('onclick', 'window.planted = "handler"');
          document.body.append(button);
          button.click();
          script.remove(); button.remove();
        }"""
    )
    assert shown.ask("() => window.planted ?? null") is None
    refused = shown.said[before:]
    del shown.said[before:]
    assert len(refused) == 2, refused
    assert all("Content Security Policy" in message for message in refused)


def test_the_page_may_not_ask_for_anything(shown: OpenedPage):
    before = len(shown.said)
    answer = shown.ask("() => fetch('https://example.org/').then(() => 'asked', (error) => error.name)")
    refused = shown.said[before:]
    del shown.said[before:]
    shown.asked.clear()
    assert answer == "TypeError"
    assert any("Content Security Policy" in message for message in refused), refused
