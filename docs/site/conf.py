"""The pages as a site (`make docs`): Sphinx reads them where they lie, so that they read the same in the repository."""

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
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

html_theme = "alabaster"
html_title = "Flyte"
html_theme_options = {
    "description": "If this happens in system A, do this in system B",
    "fixed_sidebar": True,
    "page_width": "1160px",
    "sidebar_width": "260px",
    "font_family": "system-ui, sans-serif",
    "head_font_family": "system-ui, sans-serif",
    "show_powered_by": False,
}
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
# Nothing is fetched from elsewhere when somebody reads it.
html_permalinks_icon = "#"

# What stands in the menu, in this order; every page of a folder is in its part, in the order of names.
PARTS = (
    ("Begin", ["docs/quickstart", "examples/README", "docs/how-to/move-from-the-go-server"]),
    ("How to", ["docs/how-to/*"]),
    ("Explanation", ["docs/explanation/*"]),
    ("Reference", ["docs/reference/*"]),
    ("Packs", ["flyte_client/README", "flyte_client/packs/README", "flyte_client/packs/*/README"]),
    ("The project", ["CONTRIBUTING", "SECURITY", "CHANGELOG"]),
)


def menu() -> str:
    """The menu as MyST reads it; it stands at the end of the first page, unseen there."""
    taken: set[str] = set()
    parts = []
    for caption, patterns in PARTS:
        pages = [page for pattern in patterns for page in found(pattern) if page not in taken]
        taken.update(pages)
        parts.append(
            "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *map("/{}".format, pages), "```"])
        )
    return "\n\n".join(parts)


def found(pattern: str) -> list[str]:
    """The pages of a pattern, without their endings."""
    return sorted(str(path.relative_to(ROOT))[: -len(".md")] for path in ROOT.glob(f"{pattern}.md"))


def add_menu(app: Any, name: str, source: list[str]) -> None:
    if name == root_doc:
        source[0] += f"\n\n{menu()}\n"


def add_index(app: Any, error: Exception | None) -> None:
    """The first page is there under the name, too, that servers look for."""
    if error is None:
        shutil.copy(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_menu)
    app.connect("build-finished", add_index)
