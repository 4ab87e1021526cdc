"""Common parts of all operations in the OpenAPI description: error responses and path parameters."""

from http import HTTPStatus
from typing import Any

from flyte_site.http.input.fields import PROBLEM_MEDIA_TYPE

# By status: the name of the response in the description, and its description.
COMMON_RESPONSES = {
    "400": ("BadRequest", "The request is invalid; `errors` lists each error with its path."),
    "401": ("Unauthorized", "A token is required, or the one sent is invalid, expired or revoked."),
    "403": (
        "Forbidden",
        "The token does not allow this request. Without a token: unknown host or cross-site request.",
    ),
    "503": ("Unavailable", "The database or the identity provider is unavailable; retry after `Retry-After` seconds."),
}
PATH_PARAMETERS = {
    "pack_id": "The id of the pack, from its registration.",
    "action_id": "The id of the action.",
    "event_id": "The id of the event.",
    "correlation_id": "The id of the execution.",
    "step_id": "The id of the step in its flow: `step-1`, `step-2` … if the flow does not set one.",
    "name": "The name of the flow.",
    "version_id": "The id of the version.",
    "key": "The key of the item.",
}
BODY_RESPONSES = {"413": ("TooLarge", "The request body exceeds the limit of this operation.")}


def add_common_responses(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the errors that any request can return to every operation (a postprocessing hook of drf-spectacular)."""
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


def describe_responses(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Describe each response that has no description by the phrase of its status (a postprocessing hook)."""
    operations = (operation for methods in result["paths"].values() for operation in methods.values())
    for responses in (operation["responses"] for operation in operations):
        for status, response in responses.items():
            if "$ref" not in response and not response["description"]:
                response["description"] = HTTPStatus(int(status)).phrase
    return result


def describe_path_parameters(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Describe the parameters in paths, which have the same meaning in every operation (a postprocessing hook)."""
    operations = (operation for methods in result["paths"].values() for operation in methods.values())
    for parameter in (parameter for operation in operations for parameter in operation.get("parameters", [])):
        if parameter["in"] == "path":
            parameter["description"] = PATH_PARAMETERS[parameter["name"]]
    return result
