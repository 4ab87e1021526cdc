"""Configuration of the documentation site (`make docs`).

Sphinx reads the pages where they are in the repository. They are plain Markdown, so they also work without the site.
"""

import html
import re
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent

project = "Flyte"
author = "the Flyte maintainers"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "README"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/**/*.md",
    "examples/README.md",
    "flyte_client/*.md",
    "flyte_client/packs/*.md",
    "flyte_client/packs/**/*.md",
]
exclude_patterns = [".*", "docs/site", "screenshots", "node_modules"]

myst_heading_anchors = 4
# Sphinx has no lexer for mermaid and shows these blocks as text.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

# The theme and the search load everything from the site itself: no fonts, scripts or styles of other hosts.
html_theme = "furo"
html_title = "Flyte"
html_favicon = "../../static/flyte.svg"
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#1f5fa8", "color-brand-content": "#1f5fa8"},
    "dark_css_variables": {"color-brand-primary": "#7ab8ff", "color-brand-content": "#7ab8ff"},
}
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_permalinks_icon = "#"

SUMMARY = "Flyte connects the tools of a company: if this happens in system A, do this in system B."

# Captions and pages of the menu, in order. A page belongs to the first pattern that matches it.
MENU = (
    ("Get started", ["docs/quickstart", "examples/README", "docs/how-to/move-from-the-go-server"]),
    ("How-to guides", ["docs/how-to/*"]),
    ("Explanation", ["docs/explanation/why-flyte", "docs/explanation/how-it-works", "docs/explanation/*"]),
    ("Reference", ["docs/reference/*"]),
    ("Packs", ["flyte_client/README", "flyte_client/packs/README", "flyte_client/packs/*/README"]),
    ("Project", ["CONTRIBUTING", "SECURITY", "CHANGELOG"]),
)

# One line for each page, for llms.txt and search engines.
DESCRIPTIONS = {
    "README": "What Flyte is, how to start it, and a first flow.",
    "docs/quickstart": "Start a server and two packs, save a flow, and look at what ran.",
    "examples/README": "Example flows with the curl commands that run each of them.",
    "docs/how-to/move-from-the-go-server": "Move packs, flows and data from the original Go server.",
    "docs/how-to/develop": "Set up a checkout, run the tests, and find your way around the code.",
    "docs/how-to/give-text-to-a-shell": "Quote text from events so that it can't run commands.",
    "docs/how-to/keep-flows-in-files": "Check, compare, apply and export flows that are kept in a repository.",
    "docs/how-to/keep-secrets": "Store encrypted values that only templates can read, and rotate the keys.",
    "docs/how-to/run-as-a-service": "Install Flyte on a Debian machine with PostgreSQL, Redis, nginx and systemd.",
    "docs/how-to/run-in-containers": "Build the image, and run the server and packs with compose.",
    "docs/how-to/run-with-redis": "Run periodic jobs with Celery, and several machines, with Redis.",
    "docs/how-to/sign-in": "Let people sign in to the console with an OpenID Connect provider.",
    "docs/how-to/use-postgresql": "Store everything in PostgreSQL instead of SQLite.",
    "docs/how-to/use-the-api-by-hand": "Call every part of the API with curl and jq, or with Postman.",
    "docs/how-to/use-the-console": "Sign in, manage people, and inspect runs, events, packs and flows.",
    "docs/how-to/watch-it": "Monitor Flyte with metrics, logs and traces.",
    "docs/how-to/write-a-flow": "Write, check and try a flow in the console's editor.",
    "docs/how-to/write-a-pack": "Write a pack in Python: commands, events, typed inputs, tests, long-running work.",
    "docs/how-to/write-a-pack-in-another-language": "The pack protocol, step by step with curl.",
    "docs/how-to/write-a-plugin": "Write a plugin for a pack that the server hosts.",
    "docs/explanation/libraries": "Which libraries Flyte uses, and where own code stays in their place.",
    "docs/explanation/why-flyte": "A comparison with other automation engines, and what Flyte lacks.",
    "docs/explanation/how-it-works": "How an event becomes actions, how long polling works, and what is stored.",
    "docs/explanation/guarantees": "Guarantees for events, actions and flows, and how they are tested.",
    "docs/explanation/performance": "Measured throughput and latency, where the time goes, scaling and sizing.",
    "docs/explanation/security": "Authentication, security zones, console users, proxies, TLS, and the log.",
    "docs/reference/access": "Tokens, scopes, permissions by request and console page, and the path policy.",
    "docs/reference/api": "The REST API: endpoints, errors, idempotency, long polling, leases, states, audit.",
    "docs/reference/command-line": "The programs flyte and manage.py, with their exit codes.",
    "docs/reference/flows": "Every key of a flow document, and what is checked when a flow is saved.",
    "docs/reference/glossary": "Every term with its one meaning.",
    "docs/reference/metrics": "The Prometheus metrics, with a dashboard and alert rules.",
    "docs/reference/packs": "The packs that come with Flyte, and those of the original that do not.",
    "docs/reference/settings": "Every environment variable of the server, with its default and values.",
    "docs/reference/templates": "The template language: values, operators, tags, functions, filters, limits.",
    "docs/reference/webapi": "Packs that the server hosts: plugins, configuration, address policy.",
    "flyte_client/README": "Install the Python client library and its command-line programs.",
    "flyte_client/packs/README": "How to start the included packs, and how a pack is organized.",
    "flyte_client/packs/bamboo/README": "Starts, labels and comments on Bamboo builds, and reports finished builds.",
    "flyte_client/packs/bitbucket/README": "Creates, comments on and merges Bitbucket pull requests, and reports them.",
    "flyte_client/packs/console/README": "A chat in a terminal, for trying out flows.",
    "flyte_client/packs/email/README": "Sends mail over SMTP and receives mail over IMAP.",
    "flyte_client/packs/git/README": "Reports pushes to branches and tags of Git repositories.",
    "flyte_client/packs/jira/README": "Creates, reads, searches, assigns, comments on and transitions Jira issues.",
    "flyte_client/packs/ldap/README": "Looks up people and groups in LDAP and Active Directory.",
    "flyte_client/packs/shell/README": "Runs scripts with bash and returns their output.",
    "flyte_client/packs/slack/README": "Sends Slack messages, and reports messages and reactions.",
    "flyte_client/packs/timer/README": "Sends events on a schedule: cron expressions and intervals.",
    "flyte_client/packs/webhook/README": "Receives webhooks of GitHub, Slack, Alertmanager and others.",
    "CONTRIBUTING": "How to report bugs and make changes, and the code of conduct.",
    "SECURITY": "How to report a vulnerability, and what counts as one.",
    "CHANGELOG": "What has changed in each release.",
}


def list_sections() -> list[tuple[str, list[str]]]:
    """Return the captions of the menu, each with the names of its pages."""
    listed: set[str] = set()
    sections = []
    for caption, patterns in MENU:
        names = [name for pattern in patterns for name in find_pages(pattern)]
        sections.append((caption, [name for name in dict.fromkeys(names) if name not in listed]))
        listed.update(names)
    return sections


def find_pages(pattern: str) -> list[str]:
    """Return the names of the pages that match a pattern, sorted, without their suffix."""
    return sorted(str(path.relative_to(ROOT))[: -len(".md")] for path in ROOT.glob(f"{pattern}.md"))


def build_menu() -> str:
    """Return the menu as hidden MyST tables of contents."""
    return "\n\n".join(
        "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *map("/{}".format, names), "```"])
        for caption, names in list_sections()
    )


def read_title(name: str) -> str:
    """Return the first heading of a page, without code marks."""
    heading = re.search(r"^# (.+)$", (ROOT / f"{name}.md").read_text(encoding="utf-8"), re.MULTILINE)
    return heading[1].replace("`", "") if heading else name


def build_llms_txt() -> str:
    """Return the content of llms.txt: the address, title and description of each page (https://llmstxt.org).

    Addresses are relative, because the site can be served under any address.
    """
    lines = [f"# {project}", "", f"> {SUMMARY}"]
    for caption, names in list_sections():
        lines += ["", f"## {caption}", ""]
        lines += [f"- [{read_title(name)}]({name}.html): {DESCRIPTIONS[name]}" for name in names]
    return "\n".join([*lines, ""])


def add_menu(app: Any, name: str, source: list[str]) -> None:
    """Append the menu to the start page."""
    if name == root_doc:
        source[0] += f"\n\n{build_menu()}\n"


def add_description(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Add the page's description to its HTML head."""
    if name in DESCRIPTIONS:
        context["metatags"] += f'<meta name="description" content="{html.escape(DESCRIPTIONS[name])}" />'


def add_files(app: Any, error: Exception | None) -> None:
    """Add llms.txt, and index.html, which web servers look for."""
    if error is None:
        out = Path(app.outdir)
        shutil.copy(out / f"{root_doc}.html", out / "index.html")
        (out / "llms.txt").write_text(build_llms_txt(), encoding="utf-8")


def setup(app: Any) -> None:
    """Connect the handlers; called by Sphinx."""
    app.connect("source-read", add_menu)
    app.connect("html-page-context", add_description)
    app.connect("build-finished", add_files)
