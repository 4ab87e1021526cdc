"""Text from other systems in tables, chat lines, log lines, paths and settings: only control characters are special."""

import json
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest

from flyte_client.cli.tables import print_table
from flyte_client.errors import SettingsError
from flyte_client.packs.common.rest_client import quote_path_segment
from flyte_client.packs.console.chat import build_console_pack
from flyte_client.packs.git.settings import read_settings
from flyte_client.terminal_log import format_line
from flyte_client.testing import PackTester

pytestmark = pytest.mark.unit

ORDINARY = ["会議\u3000資料", "12\u202f000\u00a0€", "👩\u200d💻", "\u200fشكرا", "so\u00adft", "🫩"]
CONTROL = ["\x1b[2J", "a\x9b2J", "a\rb", "a\u2028b", "a\x85b", "a\x7fb", "a\udcffb"]


class Output:
    """A stream that keeps what is written."""

    text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Do nothing: this file has no buffer."""


def chat(message: str) -> str:
    output = Output()
    tester = PackTester(build_console_pack("Console", output))
    tester.command("SendMessage", {"channelId": "c", "message": message})
    return output.text


def read_git_url(url: str) -> str:
    repositories = {"repositories": [{"url": url, "name": "site"}]}
    return read_settings({"FLYTE_GIT_CONFIG": json.dumps(repositories)}).repositories[0].url


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_characters_are_kept(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["NAME"], [[text]])
    assert capsys.readouterr().out.splitlines()[1].rstrip() == text
    assert chat(text) == f"[c] {text}\n"
    assert text in format_line({"event": "said", "pack": text}, datetime.now(UTC), UTC, colored=False)
    assert unquote(quote_path_segment(text)) == text
    assert read_git_url(f"https://example.org/{text}.git") == f"https://example.org/{text}.git"


@pytest.mark.parametrize("text", CONTROL, ids=ascii)
def test_control_characters_are_replaced_escaped_or_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["NAME"], [[text]])
    assert text not in (table := capsys.readouterr().out)
    assert "\ufffd" in table
    assert text not in format_line({"event": "said", "pack": text}, datetime.now(UTC), UTC, colored=False)
    with pytest.raises(ValueError, match="invalid name"):
        quote_path_segment(text)
    with pytest.raises(SettingsError, match="url"):
        read_git_url(f"https://example.org/{text}.git")


@pytest.mark.parametrize("text", CONTROL[:-1], ids=ascii)
def test_a_chat_line_has_no_control_characters(text: str) -> None:
    assert text not in chat(text)
    assert "\ufffd" in chat(text)
    assert chat("a\tb\nc") == "[c] a\tb\n[c] c\n"
