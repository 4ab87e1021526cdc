"""The pack's commands, which post messages."""

from collections.abc import Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.common.results import describe_failure, pick_fields, run_command
from flyte_client.packs.slack.web_api import SlackClient, SlackError

MESSAGE_FIELDS = ("message", "channelId", "threadTimestamp")
# The fields of chat.postMessage except those for the author, which only the operator may set.
RICH_FIELDS = (
    "channel",
    "text",
    "blocks",
    "attachments",
    "thread_ts",
    "reply_broadcast",
    "mrkdwn",
    "parse",
    "link_names",
    "unfurl_links",
    "unfurl_media",
    "metadata",
    "username",
    "icon_emoji",
    "icon_url",
)


def declare_commands(pack: Pack, slack: SlackClient) -> None:
    """Declare the pack's commands."""

    @pack.command("SendMessage", events=["MessageSent", "SendMessageFailed"])
    def send_message(command_input: Any) -> Event:
        echoed = pick_fields(command_input, *MESSAGE_FIELDS)

        def post() -> dict[str, Any]:
            return {"timestamp": str(slack.post_message(_build_message(echoed)).get("ts") or "")}

        return run_command("MessageSent", "SendMessageFailed", echoed, post)

    @pack.command("SendRichMessage", events=["RichMessageSent", "SendRichMessageFailed"])
    def send_rich_message(command_input: Any) -> Event:
        try:
            slack.post_message(_check_rich_message(command_input))
        except (ValueError, SlackError) as error:
            return Event("SendRichMessageFailed", {"inputMessage": command_input} | describe_failure(error))
        return Event("RichMessageSent", command_input)


def _build_message(fields: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in ("message", "channelId") if not fields[name]]
    if missing:
        raise ValueError(f"required: {', '.join(missing)}")
    invalid = [name for name in MESSAGE_FIELDS if not isinstance(fields[name], str)]
    if invalid:
        raise ValueError(f"must be a string: {', '.join(invalid)}")
    channel, thread_timestamp = fields["channelId"].strip(), fields["threadTimestamp"].strip()
    thread = {"thread_ts": thread_timestamp} if thread_timestamp else {}
    return {"channel": channel, "text": fields["message"]} | thread


def _check_rich_message(command_input: Any) -> dict[str, Any]:
    if not isinstance(command_input, dict):
        raise ValueError(f"the input must be an object with {', '.join(RICH_FIELDS)}")
    unknown = [name for name in command_input if name not in RICH_FIELDS]
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}; allowed fields: {', '.join(RICH_FIELDS)}")
    if not command_input.get("channel") or not any(
        command_input.get(name) for name in ("text", "blocks", "attachments")
    ):
        raise ValueError("required: channel, and one of text, blocks, attachments")
    return command_input
