"""The names `.` and `..`, which clients and proxies remove from the paths of URLs (RFC 3986, 5.2.4)."""

DOT_SEGMENTS = (".", "..")


def get_dot_segment_error(name: str) -> str:
    """Return the reason why a name is not allowed in a path; '' if it is allowed."""
    return f"must not be {name!r}: clients remove this from paths" if name in DOT_SEGMENTS else ""
