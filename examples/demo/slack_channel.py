"""A stand-in for Slack, as far as a bot needs it that only posts: https://api.slack.com/methods/chat.postMessage.

    python -m examples.demo.slack_channel

prints the address of its API, and then each message that is posted. Any token of a bot is taken.
"""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from examples.demo.counterpart import HOST, answer_json, serve


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.headers.get("Authorization", "").startswith("Bearer xoxb-"):
            answer_json(self, {"ok": False, "error": "not_authed"})
        elif self.path == "/api/auth.test":
            answer_json(self, {"ok": True, "user_id": "UFLYTE", "bot_id": "BFLYTE"})
        elif self.path == "/api/chat.postMessage":
            answer_json(self, self.post(json.loads(content)))
        else:
            answer_json(self, {"ok": False, "error": "unknown_method"})

    def post(self, message: dict[str, str]) -> dict[str, Any]:
        print(f"[{message['channel']}] {message['text']}", flush=True)
        return {"ok": True, "channel": message["channel"], "ts": f"{time.time():.6f}"}


def main() -> None:
    serve(ThreadingHTTPServer((HOST, 0), Handler), f"http://{HOST}:{{port}}/api")


if __name__ == "__main__":
    main()
