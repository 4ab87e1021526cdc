"""The key that signs sessions, made once and kept beside the database where the operator has not set one."""

import secrets
from pathlib import Path

MIN_KEY_LENGTH = 32
MIN_DISTINCT_CHARACTERS = 5


def find_weakness(key: str) -> str:
    """What makes a key easy to guess, so that anybody could sign a session of their own; '' where nothing does."""
    if len(key) < MIN_KEY_LENGTH:
        return f"has only {len(key)} characters"
    if len(set(key)) < MIN_DISTINCT_CHARACTERS:
        return f"has only {len(set(key))} different characters"
    return ""


def load_or_create_secret_key(path: Path) -> str:
    """The key in the file at `path`, made on first use and readable by its owner alone.

    Two processes that start at once agree on one key: whoever links the file first decides. Raises `OSError` where the
    folder can't be written to.
    """
    if not path.exists():
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        temporary.touch(mode=0o600)
        try:
            temporary.write_text(secrets.token_urlsafe(50), encoding="ascii")
            path.hardlink_to(temporary)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return path.read_text(encoding="ascii").strip()
