"""The command-line programs `flyte` and `flyte-pack`."""
