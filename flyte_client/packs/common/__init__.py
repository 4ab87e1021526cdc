"""What several packs that come with Flyte stand on: configuration, a file of state, a program with work of its own."""
