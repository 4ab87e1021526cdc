"""Labels as people type them: `env=prod`, or `env:prod`."""


def split_label(text: str) -> tuple[str, str]:
    """Split `env=prod` or `env:prod` into name and value, without spaces around them.

    As in `FLYTE_LABELS` of the client library, `=` takes precedence, because names can contain colons. Raises
    `ValueError` if the name or the separator is missing.
    """
    name, separator, value = (part.strip() for part in text.partition("=" if "=" in text else ":"))
    if not (name and separator):
        raise ValueError(f"invalid label {text[:100]!r}: use name=value, such as env=prod")
    return name, value
