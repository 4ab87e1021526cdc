"""What the API's description says of every operation alike: the answers that are given before any view."""

from typing import Any

from flyte_site.http.fields import PROBLEM_MEDIA_TYPE

# Statuses and what they tell. The first word of each is what the description calls it.
COMMON_RESPONSES = {
    "400": ("BadRequest", "Something in the request is wrong; `errors` says where."),
    "401": ("Unauthorized", "A token is needed, or the one that was sent counts no longer."),
    "403": (
        "Forbidden",
        "The token may not do this; without a token: another name of the server, or a page of others.",
    ),
    "503": ("Unavailable", "The database or the identity provider does not answer; `Retry-After` says when to ask."),
}
BODY_RESPONSES = {"413": ("TooLarge", "The body is larger than is taken here.")}


def add_common_responses(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Adds to every operation the errors that any request may end in (a postprocessing hook of drf-spectacular)."""
    content = {"schema": {"$ref": "#/components/schemas/Problem"}}
    result["components"]["responses"] = {
        name: {"description": description, "content": {PROBLEM_MEDIA_TYPE: content}}
        for name, description in (COMMON_RESPONSES | BODY_RESPONSES).values()
    }
    for methods in result["paths"].values():
        for operation in methods.values():
            responses = COMMON_RESPONSES | BODY_RESPONSES if "requestBody" in operation else COMMON_RESPONSES
            references = {status: {"$ref": f"#/components/responses/{name}"} for status, (name, _) in responses.items()}
            operation["responses"] = dict(sorted({**references, **operation["responses"]}.items()))
    return result
