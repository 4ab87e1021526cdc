"""The commands that post messages."""

from collections.abc import Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.slack.web import Slack, SlackError

FIELDS = ("message", "channelId", "threadTimestamp")
# Of what chat.postMessage takes, all but whose message it is: that is the operator's to say.
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


def declare_sending(pack: Pack, slack: Slack) -> None:
    """Give the pack its commands."""

    @pack.command("SendMessage", events=["MessageSent", "SendMessageFailed"])
    def send_message(given: Any) -> Event:
        fields = given if isinstance(given, dict) else {}
        told = {name: fields.get(name) or "" for name in FIELDS}
        try:
            answer = slack.post(_plain(told))
        except ValueError as error:
            return Event("SendMessageFailed", told | {"error": str(error), "temporary": False})
        except SlackError as error:
            return Event("SendMessageFailed", told | {"error": str(error), "temporary": error.temporary})
        return Event("MessageSent", told | {"timestamp": str(answer.get("ts") or "")})

    @pack.command("SendRichMessage", events=["RichMessageSent", "SendRichMessageFailed"])
    def send_rich_message(given: Any) -> Event:
        try:
            slack.post(_rich(given))
        except ValueError as error:
            return Event("SendRichMessageFailed", {"inputMessage": given, "error": str(error), "temporary": False})
        except SlackError as error:
            words = {"error": str(error), "temporary": error.temporary}
            return Event("SendRichMessageFailed", {"inputMessage": given} | words)
        return Event("RichMessageSent", given)


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in ("message", "channelId") if not told[name]]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)}")
    wrong = [name for name in FIELDS if not isinstance(told[name], str)]
    if wrong:
        raise ValueError(f"must be text: {', '.join(wrong)}")
    thread = {"thread_ts": told["threadTimestamp"]} if told["threadTimestamp"] else {}
    return {"channel": told["channelId"], "text": told["message"]} | thread


def _rich(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"the input must be an object with {', '.join(RICH_FIELDS)}")
    unknown = [name for name in given if name not in RICH_FIELDS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not known; there are {', '.join(RICH_FIELDS)}")
    if not given.get("channel") or not any(given.get(name) for name in ("text", "blocks", "attachments")):
        raise ValueError("missing: channel, and one of text, blocks, attachments")
    return given
