"""A pack that takes actions until none is left: `python -m tests.packs.taker PORT`.

It starts after a line of input, and prints the id of each action that it took, and each status except 200.
"""

import http.client
import json
import sys

PATH = "/v1/packs/Wrk/actions/take"


def main(port: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while True:
        connection.request("POST", PATH)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            print("status", response.status)
            return
        print("took", json.loads(body)["links"][0]["href"].split("/")[-2])


if __name__ == "__main__":
    main(int(sys.argv[1]))
