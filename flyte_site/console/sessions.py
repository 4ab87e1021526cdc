"""Sessions in the database, each stored under a hash of its key: a reader of the table can't use them.

Named by SESSION_ENGINE.
"""

import hashlib
from typing import Any

from django.contrib.sessions.backends import db

KEY_HASH_BYTES = 20  # The table's column has room for 40 characters.


def hash_session_key(session_key: str) -> str:
    """Return the stored form of a key: 40 hexadecimal digits. A key is random, so no salt is needed."""
    return hashlib.blake2b(session_key.encode(), digest_size=KEY_HASH_BYTES).hexdigest()


class SessionStore(db.SessionStore):
    """The session of one browser. `session_key` is the key in its cookie."""

    def _get_session_from_db(self) -> Any:
        key = self.session_key
        if key is None:
            return None
        self._session_key = hash_session_key(key)
        try:
            return super()._get_session_from_db()  # type: ignore[misc]
        finally:
            # If the session does not exist, the key was set to None.
            self._session_key = key if self._session_key is not None else None

    def exists(self, session_key: str) -> bool:
        """Return True if a session with the key exists."""
        return super().exists(hash_session_key(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """Build the row of this session."""
        row = super().create_model_instance(data)
        row.session_key = hash_session_key(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        """Delete the session with the key; without a key, this session."""
        key = session_key or self.session_key
        if key is not None:
            super().delete(hash_session_key(key))
