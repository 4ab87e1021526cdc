"""The version of the client library, which is released apart from the server."""

__version__ = "0.1.0"
