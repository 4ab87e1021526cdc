"""Shared code of the demos: server and packs as processes in a temporary folder, and the printed audit."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

DEMO_FOLDER = Path(__file__).resolve().parent
PROJECT_ROOT = DEMO_FOLDER.parents[1]
TIMEOUT = 60.0
LOG_LINES = 40


class DemoError(Exception):
    """A timeout or an unexpected result in a demo."""


@dataclass(frozen=True)
class DemoProcess:
    """A process of the demo; `output` is the file for its standard output, `log` for its standard error."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path
    log: Path

    def read_output(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def type_line(self, line: str) -> None:
        assert self.process.stdin  # noqa: S101 - every program has one
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def stop(self) -> int:
        """Terminate the process; kill it and its children if it does not end. Return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(TIMEOUT / 2)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait()


class Demo:
    """The processes of a demo, in one temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = find_free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.address, timeout=10, trust_env=False)
        self.processes: list[DemoProcess] = []

    def build_environment(self) -> dict[str, str]:
        """Return the caller's environment without settings that would change the demo's server."""
        others = {name: value for name, value in os.environ.items() if not name.startswith(("FLYTE_", "LOG"))}
        return others | {
            "FLYTE_PORT": str(self.port),
            "FLYTE_DATABASE_URL": f"sqlite:///{self.folder / 'demo.sqlite3'}",
            "FLYTE_API": self.address,
            "FLYTE_POLL_INTERVAL": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "PYTHONUNBUFFERED": "1",
        }

    def start_process(self, name: str, *arguments: str, **variables: str) -> DemoProcess:
        output, log = self.folder / f"{name}.out", self.folder / f"{name}.log"
        with output.open("wb") as stdout, log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=PROJECT_ROOT,
                env=self.build_environment() | variables,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C only reaches this script, which then stops the others in order
            )
        self.processes.append(DemoProcess(name, process, output, log))
        return self.processes[-1]

    def wait_for(self, description: str, condition: Callable[[], Any]) -> Any:
        """Return the first true result of `condition`. Raises `DemoError` on a timeout or if a process ends."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            for demo_process in self.processes:
                if demo_process.process.poll() is not None:
                    raise DemoError(f"{demo_process.name} ended with exit code {demo_process.process.returncode}")
            try:
                if result := condition():
                    return result
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise DemoError(f"timed out after {TIMEOUT:g} seconds waiting for {description}")

    def stop_processes(self) -> None:
        """Stop the processes in reverse order, so that the packs stop before the server."""
        codes = {demo_process.name: demo_process.stop() for demo_process in reversed(self.processes)}
        if failed := {name: code for name, code in codes.items() if code != 0}:
            raise DemoError(f"did not stop cleanly (exit codes): {failed}")

    def read_logs(self) -> str:
        tails = []
        for path in sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")]):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            tails += [f"--- {path.name}", *lines]
        return "\n".join(tails)


def run_demo(run_scenario: Callable[[Demo], None], required_programs: Sequence[str]) -> int:
    """Run a demo in a temporary folder, then stop its processes and remove the folder; return the exit code.

    0 on success, 1 on failure (with the logs of all processes), 2 if a required program is missing.
    """
    if missing := [name for name in required_programs if not shutil.which(name)]:
        print(f"The demo requires {', '.join(missing)}: install and try again.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, raise_interrupt)
    with tempfile.TemporaryDirectory(prefix="flyte-demo-") as folder:
        demo = Demo(Path(folder))
        try:
            run_scenario(demo)
            demo.stop_processes()
        except (DemoError, httpx.HTTPError, subprocess.TimeoutExpired) as error:
            print(f"\nThe demo failed: {error}\n{demo.read_logs()}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nInterrupted.", file=sys.stderr)
            return 130
        finally:
            for demo_process in reversed(demo.processes):
                demo_process.stop()
    print_line("All processes are stopped, and their folder is removed.")
    return 0


def start_server(demo: Demo) -> None:
    print_heading("1", "The server")
    with (demo.folder / "migrate.log").open("wb") as log:
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        completed = subprocess.run(
            migrate,
            cwd=PROJECT_ROOT,
            env=demo.build_environment(),
            stdout=log,
            stderr=log,
            timeout=TIMEOUT,
            check=False,
        )
    if completed.returncode != 0:
        raise DemoError("manage.py migrate failed")
    demo.start_process("server", "manage.py", "serve")
    demo.wait_for("the server to be healthy", lambda: demo.http.get("/health").is_success)
    print_line(f"It serves at {demo.address}, with a fresh SQLite database in {demo.folder}.")


def post_flow(demo: Demo, flow: str) -> None:
    response = demo.http.post("/v1/flows", content=flow.encode(), headers={"Content-Type": "application/x-yaml"})
    if response.status_code != 201:
        raise DemoError(f"posting the flow returned {response.status_code}: {response.text}")
    print_line(f"POST /v1/flows returned {response.status_code} {response.reason_phrase}.")


def show_run(run: Mapping[str, Any]) -> None:
    """Print each step of a run: its trigger, its action, and the result."""
    print_line(f"Run {run['correlationId']} of the flow {run['name']}:")
    for step in run["steps"]:
        action = run["actions"][step["id"]]
        trigger, result = action["trigger"], action["result"]
        print(f"\n   step {step['id']}")
        print(f"     trigger      {trigger['pack']['name']}/{trigger['event']}")
        print(f"     command      {action['packName']}/{action['name']}")
        print(f"     input        {format_value(action['input'])}")
        print(f"     states       {'  '.join(format_state(state) for state in action['states'])}")
        print(f"     result       {result['pack']['name']}/{result['event']}")
        print(f"                  {format_value(result.get('payload'))}")


def wait_for_packs(demo: Demo, *names: str) -> None:
    for pack in demo.wait_for("the packs to register", lambda: _find_registered(demo, *names)):
        print_line(f"{pack['name']} has registered and is {pack['status']}.")


def _find_registered(demo: Demo, *names: str) -> list[Any]:
    packs = [pack for pack in demo.http.get("/v1/packs").raise_for_status().json()["packs"] if pack["name"] in names]
    return packs if len(packs) == len(names) else []


def find_finished_run(demo: Demo, flow: str) -> Any:
    """Return the flow's only run if all its steps have succeeded, else None. Raises `DemoError` if a step failed."""
    response = demo.http.get("/v1/audit/flows", params={"flowName": flow}).raise_for_status()
    for run in response.json()["flows"]:
        states = [action["state"]["value"] for action in run["actions"].values()]
        if "FATAL" in states:
            raise DemoError(f"a step failed: {run['actions']}")
        if states == ["SUCCESS"] * len(run["steps"]):
            return run
    return None


def format_state(state: Mapping[str, str]) -> str:
    changed_at = datetime.fromisoformat(state["time"])
    return f"{state['value']} {changed_at:%H:%M:%S}.{changed_at.microsecond // 1000:03d}"


def format_value(value: object) -> str:
    """Format a value for printing: one line per field of an object, each shortened to one line."""
    if not isinstance(value, dict):
        return textwrap.shorten(str(value), width=90, placeholder=" …")
    lines = [f"{name}: {textwrap.shorten(str(part), width=70, placeholder=' …')}" for name, part in value.items()]
    return f"\n{' ' * 18}".join(lines)


def print_heading(number: str, text: str) -> None:
    print(f"\n{number}. {text}", flush=True)


def print_line(text: str) -> None:
    print(f"   {text}", flush=True)


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def raise_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
