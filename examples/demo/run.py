"""The quickstart as one command: `make demo`.

Starts a server with a database of its own, the Shell pack, and the Console pack in place of Slack, each as a process;
posts the quickstart's flow, types `flyte uk-bank-holidays`, and shows the answer and the audit of the run. Nothing is
left behind. Exit code 0 when all went well, 1 (with the logs of all processes) when not, 2 when a program is missing.
"""

import sys
import textwrap
from datetime import date

import httpx

from examples.demo.stage import (
    HERE,
    ROOT,
    Demo,
    DemoError,
    Program,
    finished_run,
    heading,
    perform,
    post_flow,
    say,
    show_run,
    start_server,
    wait_for_packs,
)

FLOW = HERE / "next_uk_bank_holidays.yaml"
FLOW_NAME = "next_uk_bank_holidays"
URL_PLACEHOLDER = "BANK_HOLIDAYS_URL"
CHANNEL, USER = "demo", "U0NEWCOMER"
MESSAGE = "flyte uk-bank-holidays"


def play(demo: Demo) -> None:
    start_server(demo)
    holidays = start_file_server(demo)
    slack = start_packs(demo)
    heading("3", f"The flow, {FLOW.relative_to(ROOT)}")
    say(f"{URL_PLACEHOLDER} in it becomes {holidays}.")
    post_flow(demo, FLOW.read_text(encoding="utf-8").replace(f"curl -s {URL_PLACEHOLDER}", f"curl -s {holidays}"))
    heading("4", f"Someone types into the channel: {MESSAGE}")
    slack.type(MESSAGE)
    run = demo.wait_for("the flow to run to its end", lambda: finished_run(demo, FLOW_NAME))
    show_answer(slack, holidays)
    heading("6", f"What happened, from GET /v1/audit/flows?flowName={FLOW_NAME}")
    show_run(run)
    heading("7", "The end")


def start_file_server(demo: Demo) -> str:
    """Start the stand-in for gov.uk and return the address of its bank holidays."""
    files = demo.start("files", "-m", "examples.demo.bank_holidays")
    return str(demo.wait_for("the file server's address", lambda: files.printed().strip()))


def start_packs(demo: Demo) -> Program:
    heading("2", "The packs, each a process that talks to the server over HTTP")
    demo.start("shell", "-m", "flyte_client.packs.shell")
    options = ("--name", "Slack", "--channel", CHANNEL, "--user-id", USER)
    slack = demo.start("slack", "-m", "flyte_client.packs.console", *options)
    wait_for_packs(demo, "Shell", "Slack")
    say("(Slack is the Console pack under that name: its channel is a terminal.)")
    return slack


def show_answer(slack: Program, holidays: str) -> None:
    heading("5", "The answer in the channel")
    printed = slack.printed()
    print(textwrap.indent(printed, "   "), end="")
    this_year = str(date.today().year)
    events = httpx.get(holidays, timeout=10, trust_env=False).json()["events"]
    expected = [f"{event['date']} - {event['title']}" for event in events if event["date"].startswith(this_year)]
    if missing := [line for line in expected if line not in printed]:
        raise DemoError(f"the answer lacks {missing}")


if __name__ == "__main__":
    sys.exit(perform(play, ("jq", "curl", "bash")))
