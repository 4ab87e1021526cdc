"""The quickstart as one command: `make demo`.

Starts a server with a new database, the Shell pack, and the Console pack in place of Slack, each as a process; posts
the quickstart's flow, types `flyte uk-bank-holidays`, and prints the answer and the audit of the run. Removes
everything at the end. Exit code 0 on success, 1 on failure (with the logs of all processes), 2 if a program is missing.
"""

import sys
import textwrap
from datetime import date

import httpx

from examples.demo.harness import (
    DEMO_FOLDER,
    PROJECT_ROOT,
    Demo,
    DemoError,
    DemoProcess,
    find_finished_run,
    post_flow,
    print_heading,
    print_line,
    run_demo,
    show_run,
    start_server,
    wait_for_packs,
)

FLOW = DEMO_FOLDER / "next_uk_bank_holidays.yaml"
FLOW_NAME = "next_uk_bank_holidays"
URL_PLACEHOLDER = "BANK_HOLIDAYS_URL"
CHANNEL, USER = "demo", "U0NEWCOMER"
MESSAGE = "flyte uk-bank-holidays"


def run_scenario(demo: Demo) -> None:
    start_server(demo)
    holidays = start_file_server(demo)
    slack = start_packs(demo)
    print_heading("3", f"The flow, {FLOW.relative_to(PROJECT_ROOT)}")
    print_line(f"{URL_PLACEHOLDER} in it is replaced by {holidays}.")
    post_flow(demo, FLOW.read_text(encoding="utf-8").replace(f"curl -s {URL_PLACEHOLDER}", f"curl -s {holidays}"))
    print_heading("4", f"Someone types into the channel: {MESSAGE}")
    slack.type_line(MESSAGE)
    run = demo.wait_for("the flow to finish", lambda: find_finished_run(demo, FLOW_NAME))
    show_answer(slack, holidays)
    print_heading("6", f"The audit, from GET /v1/audit/flows?flowName={FLOW_NAME}")
    show_run(run)
    print_heading("7", "The end")


def start_file_server(demo: Demo) -> str:
    """Start the stub of gov.uk and return the address of its bank holidays."""
    files = demo.start_process("files", "-m", "examples.demo.bank_holidays")
    return str(demo.wait_for("the file server's address", lambda: files.read_output().strip()))


def start_packs(demo: Demo) -> DemoProcess:
    print_heading("2", "The packs, each a process that talks to the server over HTTP")
    demo.start_process("shell", "-m", "flyte_client.packs.shell")
    options = ("--name", "Slack", "--channel", CHANNEL, "--user-id", USER)
    slack = demo.start_process("slack", "-m", "flyte_client.packs.console", *options)
    wait_for_packs(demo, "Shell", "Slack")
    print_line("(Slack is the Console pack with that name: its channel is a terminal.)")
    return slack


def show_answer(slack: DemoProcess, holidays: str) -> None:
    print_heading("5", "The answer in the channel")
    output = slack.read_output()
    print(textwrap.indent(output, "   "), end="")
    this_year = str(date.today().year)
    events = httpx.get(holidays, timeout=10, trust_env=False).json()["events"]
    expected = [f"{event['date']} - {event['title']}" for event in events if event["date"].startswith(this_year)]
    if missing := [line for line in expected if line not in output]:
        raise DemoError(f"missing in the answer: {missing}")


if __name__ == "__main__":
    sys.exit(run_demo(run_scenario, ("jq", "curl", "bash")))
