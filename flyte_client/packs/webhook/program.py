"""The Webhook pack as a program."""

import argparse
import logging
import os
from typing import Any

from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.webhook.http_server import prepare_server
from flyte_client.packs.webhook.receiver import WebhookReceiver
from flyte_client.packs.webhook.settings import read_settings

logger = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.webhook",
        description="Receives HTTP requests, checks who sent them, and sends them on as events: one path for each hook "
        "in FLYTE_WEBHOOK_FILE (or FLYTE_WEBHOOK_CONFIG), at FLYTE_WEBHOOK_BIND and FLYTE_WEBHOOK_PORT.",
    ).parse_args(arguments)
    return run_program("Webhook", _run_pack)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    pack = Pack("Webhook")
    for event in dict.fromkeys(hook.event for hook in settings.hooks):
        pack.event(event)

    def send(name: str, payload: Any, key: str | None) -> None:
        pack.send(name, payload, key=key, within=settings.send_timeout)

    serve = prepare_server(WebhookReceiver(settings.hooks, send), settings)
    for hook in settings.hooks:
        logger.info("hook_ready path=%s sender=%s address=%s:%s", hook.path, hook.sender, settings.host, settings.port)
    return run_with_workers(pack, serve)
