"""Four packs connected by a flow, as one command: `make demo-packs`.

Starts a server with a new database, the packs Webhook, Shell, Slack and Email, and local stubs of Slack and a mail
server, each as a process; posts the flow, sends a push with GitHub's signature, and prints the message, the mail and
the audit of the run. Removes everything at the end. The exit codes are those of `make demo`.
"""

import hashlib
import hmac
import json
import secrets
import sys
import textwrap

import httpx

from examples.demo.harness import (
    DEMO_FOLDER,
    PROJECT_ROOT,
    Demo,
    DemoError,
    DemoProcess,
    find_finished_run,
    find_free_port,
    post_flow,
    print_heading,
    print_line,
    run_demo,
    show_run,
    start_server,
    wait_for_packs,
)

FLOW = DEMO_FOLDER / "pushed_and_checked.yaml"
FLOW_NAME = "pushed_and_checked"
PACKS = ("Webhook", "Shell", "Slack", "Email")
HOOKS = {"hooks": [{"name": "code", "sender": "github", "secret": "GITHUB_WEBHOOK_SECRET"}]}
REVISION = "5f2c1b0e9d8a7f6e5d4c3b2a190817263544f3e2"
PUSH = {
    "ref": "refs/heads/main",
    "after": REVISION,
    "repository": {"full_name": "demo/site"},
    "pusher": {"name": "ann", "email": "ann@example.com"},
}


def run_scenario(demo: Demo) -> None:
    start_server(demo)
    slack, mail = start_stand_ins(demo)
    secret, hook = secrets.token_hex(16), f"http://127.0.0.1:{find_free_port()}/hooks/code"
    start_packs(demo, slack, mail, {"address": hook, "secret": secret})
    print_heading("4", f"The flow, {FLOW.relative_to(PROJECT_ROOT)}")
    post_flow(demo, FLOW.read_text(encoding="utf-8"))
    print_heading("5", "A push: a request with GitHub's format and signature")
    send_push(hook, secret)
    run = demo.wait_for("the flow to finish", lambda: find_finished_run(demo, FLOW_NAME))
    print_heading("6", "The message and the mail")
    show_output("in the channel", slack)
    show_output("in the mailbox", mail)
    print_heading("7", f"The audit, from GET /v1/audit/flows?flowName={FLOW_NAME}")
    show_run(run)
    print_heading("8", "The end")


def start_stand_ins(demo: Demo) -> tuple[DemoProcess, DemoProcess]:
    """Start the stubs of Slack and of a mail server. Each first prints its address."""
    print_heading("2", "Local stubs of external services")
    slack = demo.start_process("slack-service", "-m", "examples.demo.slack_channel")
    mail = demo.start_process("mail-service", "-m", "examples.demo.mail_server")
    print_line(f"Slack: {demo.wait_for('the address of the Slack stub', lambda: read_first_line(slack))}")
    print_line(f"Mail server: port {demo.wait_for('the port of the mail server', lambda: read_first_line(mail))}")
    return slack, mail


def start_packs(demo: Demo, slack: DemoProcess, mail: DemoProcess, hook: dict[str, str]) -> None:
    print_heading("3", "The packs, each a process that talks to the server over HTTP")
    settings: dict[str, dict[str, str]] = {
        "webhook": {
            "FLYTE_WEBHOOK_CONFIG": json.dumps(HOOKS),
            "FLYTE_WEBHOOK_PORT": str(httpx.URL(hook["address"]).port),
            "GITHUB_WEBHOOK_SECRET": hook["secret"],
        },
        "shell": {},
        "slack": {"FLYTE_SLACK_TOKEN": "xoxb-demo", "FLYTE_SLACK_API_URL": read_first_line(slack)},
        "email": {
            "FLYTE_SMTP_HOST": "127.0.0.1",
            "FLYTE_SMTP_PORT": read_first_line(mail),
            "FLYTE_SMTP_SECURITY": "none",
            "FLYTE_EMAIL_FROM": "Flyte <flyte@example.com>",
        },
    }
    for name, variables in settings.items():
        demo.start_process(name, "-m", f"flyte_client.packs.{name}", **variables)
    wait_for_packs(demo, *PACKS)


def send_push(address: str, secret: str) -> None:
    content = json.dumps(PUSH).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": secrets.token_hex(16),
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest(),
    }
    response = httpx.post(address, content=content, headers=headers, timeout=30, trust_env=False)
    if response.status_code != 202:
        raise DemoError(f"the push returned {response.status_code}: {response.text}")
    print_line(f"POST {address} returned {response.status_code} {response.reason_phrase}.")


def show_output(location: str, program: DemoProcess) -> None:
    output = program.read_output().partition("\n")[2].strip()
    if REVISION[:7] not in output:
        raise DemoError(f"revision {REVISION[:7]} not found {location}: {output!r}")
    print(f"\n   {location}:\n{textwrap.indent(output, '     ')}", flush=True)


def read_first_line(program: DemoProcess) -> str:
    line, newline, _ = program.read_output().partition("\n")
    return line if newline else ""


if __name__ == "__main__":
    sys.exit(run_demo(run_scenario, ("bash",)))
