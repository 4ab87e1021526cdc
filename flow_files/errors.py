"""Errors raised while reading, writing or synchronizing flow files."""


class FlowFilesError(Exception):
    """A file or folder of flows that can't be used; the message is one line and names it."""


class FlowStoreError(Exception):
    """An operation that the store of flows refused, or a flow that changed in the meantime."""
