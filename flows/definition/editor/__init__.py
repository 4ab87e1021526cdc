"""The source of a flow for the editor and the commands: positions, the report, autocompletion."""
