"""Former module names of the plugin API, for installed plugins: import from `packs.hosted.plugin_api` in new code."""
