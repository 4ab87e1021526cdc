"""Public name of `packs.hosted.plugin_api`; kept for plugins. Import from `packs.hosted.plugin_api` in new code."""
