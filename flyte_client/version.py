"""The version of the client library, which is released independently of the server."""

__version__ = "0.1.0"
