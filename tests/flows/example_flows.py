"""The flows of the examples."""

from tests.server import ROOT

# Without the YAML files of Prometheus.
EXAMPLE_FLOWS = [path for path in sorted((ROOT / "examples").rglob("*.yaml")) if "\nsteps:\n" in path.read_text()]
