"""The Slack pack as a program."""

import argparse
import os

from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.slack.commands import declare_commands
from flyte_client.packs.slack.event_mapping import EVENT_NAMES
from flyte_client.packs.slack.settings import read_settings
from flyte_client.packs.slack.socket_mode import SocketModeListener
from flyte_client.packs.slack.web_api import SlackClient


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.slack",
        description="Sends messages to Slack for flows (FLYTE_SLACK_TOKEN), and an event for each message and reaction "
        "that the bot sees (FLYTE_SLACK_APP_TOKEN). README.md beside the pack lists all variables.",
    ).parse_args(arguments)
    return run_program("Slack", _run_pack)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    slack = SlackClient(settings)
    pack = Pack("Slack")
    declare_commands(pack, slack)
    for event in EVENT_NAMES:
        pack.event(event)
    return run_with_workers(pack, SocketModeListener(pack, slack, settings).run)
