from packs.hosted.plugin_api.config import *  # noqa: F403
