"""The Slack pack as a program."""

import argparse
import os

from flyte_client.pack import Pack
from flyte_client.packs.basis.program import program, run_beside
from flyte_client.packs.slack.hearing import EVENTS
from flyte_client.packs.slack.listening import Listener
from flyte_client.packs.slack.sending import declare_sending
from flyte_client.packs.slack.settings import read_settings
from flyte_client.packs.slack.web import Slack


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.slack",
        description="Sends messages to Slack for flows (FLYTE_SLACK_TOKEN), and an event for each message and reaction "
        "that the bot sees (FLYTE_SLACK_APP_TOKEN). README.md beside the pack lists all variables.",
    ).parse_args(arguments)
    return program("Slack", _start)


def _start() -> int:
    settings = read_settings(os.environ)
    slack = Slack(settings)
    pack = Pack("Slack")
    declare_sending(pack, slack)
    for event in EVENTS:
        pack.event(event)
    return run_beside(pack, Listener(pack, slack, settings).run)
