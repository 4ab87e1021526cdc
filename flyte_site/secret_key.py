"""The key that signs sessions, made once and kept beside the database where the operator has not set one."""

import secrets
from pathlib import Path

LEAST_CHARACTERS = 32
LEAST_DIFFERENT = 5


def weakness(key: str) -> str:
    """What makes a key easy to guess, so that anybody could sign a session of their own; '' where nothing does."""
    if len(key) < LEAST_CHARACTERS:
        return f"has only {len(key)} characters"
    if len(set(key)) < LEAST_DIFFERENT:
        return f"has only {len(set(key))} different characters"
    return ""


def kept_secret_key(path: Path) -> str:
    """The key in the file at `path`, made on first use and readable by its owner alone.

    Two processes that start at once agree on one key: whoever links the file first decides. Raises `OSError` where the
    folder can't be written to.
    """
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        fresh.touch(mode=0o600)
        try:
            fresh.write_text(secrets.token_urlsafe(50), encoding="ascii")
            path.hardlink_to(fresh)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text(encoding="ascii").strip()
