"""A stub of Slack for a bot that only posts: https://api.slack.com/methods/chat.postMessage.

    python -m examples.demo.slack_channel

prints the address of its API, and then each posted message. Accepts any bot token.
"""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from examples.demo.stand_in import HOST, send_json, serve_until_terminated


class SlackApiHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.headers.get("Authorization", "").startswith("Bearer xoxb-"):
            send_json(self, {"ok": False, "error": "not_authed"})
        elif self.path == "/api/auth.test":
            send_json(self, {"ok": True, "user_id": "UFLYTE", "bot_id": "BFLYTE"})
        elif self.path == "/api/chat.postMessage":
            send_json(self, self.post_message(json.loads(content)))
        else:
            send_json(self, {"ok": False, "error": "unknown_method"})

    def post_message(self, message: dict[str, str]) -> dict[str, Any]:
        print(f"[{message['channel']}] {message['text']}", flush=True)
        return {"ok": True, "channel": message["channel"], "ts": f"{time.time():.6f}"}


def main() -> None:
    serve_until_terminated(ThreadingHTTPServer((HOST, 0), SlackApiHandler), f"http://{HOST}:{{port}}/api")


if __name__ == "__main__":
    main()
