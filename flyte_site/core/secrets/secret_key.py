"""The key that signs sessions: created once and stored next to the database if the operator sets none."""

import secrets
from pathlib import Path

MIN_KEY_LENGTH = 32
MIN_DISTINCT_CHARACTERS = 5


def find_weakness(key: str) -> str:
    """Return a reason why the key is easy to guess, which would allow forged sessions; '' for a strong key."""
    if len(key) < MIN_KEY_LENGTH:
        return f"has only {len(key)} characters"
    if len(set(key)) < MIN_DISTINCT_CHARACTERS:
        return f"has only {len(set(key))} different characters"
    return ""


def load_or_create_secret_key(path: Path) -> str:
    """Load the key from `path`; create it on first use, readable only by its owner.

    Processes that start at the same moment use the same key: that of the first to link the file. Raise `OSError` if
    the folder is not writable.
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
