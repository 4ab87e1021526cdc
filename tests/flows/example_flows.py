"""The flows of the examples."""

from tests.server import ROOT

# Not what Prometheus reads, which is YAML too.
EXAMPLE_FLOWS = [path for path in sorted((ROOT / "examples").rglob("*.yaml")) if "\nsteps:\n" in path.read_text()]
