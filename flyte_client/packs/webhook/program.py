"""The Webhook pack as a program."""

import logging
import os
from typing import Any

from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.webhook.http_server import prepare_server
from flyte_client.packs.webhook.receiver import WebhookReceiver
from flyte_client.packs.webhook.settings import read_settings

logger = logging.getLogger(__name__)


DESCRIPTION = (
    "Receive HTTP requests, verify their signatures, and send them as events: one path for each hook in "
    "FLYTE_WEBHOOK_FILE (or FLYTE_WEBHOOK_CONFIG), on FLYTE_WEBHOOK_BIND and FLYTE_WEBHOOK_PORT."
)


def main(arguments: list[str] | None = None) -> int:
    return run_program("Webhook", DESCRIPTION, _run_pack, arguments)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    pack = Pack("Webhook")
    for event in dict.fromkeys(hook.event for hook in settings.hooks):
        pack.event(event)

    def send(name: str, payload: Any, key: str | None) -> bool:
        return pack.send(name, payload, key=key, within=settings.send_timeout)

    serve = prepare_server(WebhookReceiver(settings.hooks, send, settings.max_bytes), settings)
    for hook in settings.hooks:
        logger.info("hook_ready path=%s sender=%s address=%s:%s", hook.path, hook.sender, settings.host, settings.port)
    return run_with_workers(pack, serve)
