"""What the API's description says of every operation alike: the answers that are given before any view."""

from typing import Any

from flyte_site.rest.fields import PROBLEM_TYPE

# Statuses and what they tell. The first word of each is what the description calls it.
EVERYWHERE = {
    "400": ("BadRequest", "Something in the request is wrong; `errors` says where."),
    "401": ("Unauthorized", "A token is needed, or the one that was sent counts no longer."),
    "403": (
        "Forbidden",
        "The token may not do this; without a token: another name of the server, or a page of others.",
    ),
    "503": ("Unavailable", "The database or the identity provider does not answer; `Retry-After` says when to ask."),
}
WITH_BODY = {"413": ("TooLarge", "The body is larger than is taken here.")}


def shared_answers(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Adds to every operation the errors that any request may end in (a postprocessing hook of drf-spectacular)."""
    shape = {"schema": {"$ref": "#/components/schemas/Problem"}}
    result["components"]["responses"] = {
        name: {"description": description, "content": {PROBLEM_TYPE: shape}}
        for name, description in (EVERYWHERE | WITH_BODY).values()
    }
    for methods in result["paths"].values():
        for operation in methods.values():
            known = EVERYWHERE | WITH_BODY if "requestBody" in operation else EVERYWHERE
            added = {status: {"$ref": f"#/components/responses/{name}"} for status, (name, _) in known.items()}
            operation["responses"] = dict(sorted({**added, **operation["responses"]}.items()))
    return result
