"""Code shared by the bundled packs: configuration, state files, REST calls, programs with background work."""
