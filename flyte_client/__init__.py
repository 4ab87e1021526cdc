"""Write a pack in Python: register with a Flyte server, take actions, post events and results.

    from flyte_client import Event, Pack, run

    pack = Pack("Greeter")

    @pack.command("Greet", events=["Greeted"])
    def greet(name: object) -> Event:
        return Event("Greeted", {"text": f"Hello {name}!"})

    raise SystemExit(run(pack))

`run` sets up logging and returns an exit code, as a program needs; `pack.run()` does neither. The server's address
comes from `FLYTE_API` (or `FLYTE_API_URL`); `flyte_client.settings` lists all variables.
The library communicates over HTTP only and does not need the server's code.
"""

from flyte_client.errors import FlyteError, RefusedError, ServerAwayError, SettingsError
from flyte_client.events import Event
from flyte_client.handlers.action_context import CurrentAction, current_action
from flyte_client.health import Health
from flyte_client.pack import Pack
from flyte_client.program import run
from flyte_client.transport.trace_context import carried_headers
from flyte_client.version import __version__

__all__ = [
    "CurrentAction",
    "Event",
    "FlyteError",
    "Health",
    "Pack",
    "RefusedError",
    "ServerAwayError",
    "SettingsError",
    "__version__",
    "carried_headers",
    "current_action",
    "run",
]
