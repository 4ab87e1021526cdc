"""Settings of drf-spectacular, which generates the OpenAPI description."""

SPECTACULAR_SETTINGS = {
    "TITLE": "Flyte API",
    "DESCRIPTION": (
        "Packs register, post events, take actions and post results. Flows define which actions follow an event."
    ),
    "VERSION": "1",
    "TAGS": [
        {"name": "info", "description": "Entry points, health and metrics."},
        {"name": "pack", "description": "Packs: programs that send events and run commands."},
        {"name": "event", "description": "Events that packs send."},
        {"name": "action", "description": "Actions that packs take, extend and finish with a result."},
        {"name": "flow", "description": "Flows, their versions, and dry runs."},
        {"name": "flowAudit", "description": "Executions and events: search, cancel, retry and replay."},
        {"name": "approval", "description": "Questions that a person answers before a flow continues."},
        {"name": "datastore", "description": "Values that templates read."},
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/v1",
    "DISABLE_ERRORS_AND_WARNINGS": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "APPEND_COMPONENTS": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    "SECURITY": [{"bearer": []}, {}],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "flyte_site.http.openapi.hooks.add_common_responses",
        "flyte_site.http.openapi.hooks.describe_responses",
        "flyte_site.http.openapi.hooks.describe_path_parameters",
    ],
}
