"""The program `flyte`: what people far from the server do with flows, packs, events and the audit."""
