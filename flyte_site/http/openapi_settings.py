"""Settings of drf-spectacular, which writes the OpenAPI description."""

SPECTACULAR_SETTINGS = {
    "TITLE": "Flyte API",
    "DESCRIPTION": "Packs register, post events, take actions and post results; flows say what follows what.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/v1",
    "DISABLE_ERRORS_AND_WARNINGS": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "APPEND_COMPONENTS": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    "SECURITY": [{"bearer": []}, {}],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "flyte_site.http.openapi.add_common_responses",
    ],
}
