"""What the editor and the commands show about a flow's source: positions, the report, autocompletion."""
