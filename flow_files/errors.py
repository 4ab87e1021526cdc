"""Errors of flows as files."""


class FlowFilesError(Exception):
    """A file or folder of flows can't be used; the text is one line and names it."""


class FlowStoreError(Exception):
    """The store of flows refused an operation, or changed in the meantime."""
