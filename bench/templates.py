"""Templates of the manual and the quickstart: rendered and compiled here, in plain Django and in Jinja2's sandbox.

Each language says the same in its own words; what Django and Jinja2 lack (`match`, `split`, `datastore` …) is given to
them as filters and tags that do no more than ours must. `python -m bench.templates` prints a line of JSON a language.
"""

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import django
import re2  # type: ignore[import-untyped]
from django.conf import settings
from django.template import Context, Engine, Library, Template
from jinja2.sandbox import SandboxedEnvironment

from flows.lang import RenderContext, compile_template
from flows.lang import templates as language

SECONDS = 1.5
STORED = {"teams": {"devinf": {"email": "devinf@example.com"}}}
VARIABLES: dict[str, Any] = {
    "Event": {
        "Name": "ReceivedMessage",
        "Pack": {"Id": "Slack.env.prod", "Name": "Slack", "Labels": {"env": "prod"}},
        "Payload": {
            "message": "flyte uk-bank-holidays",
            "channelId": "C123",
            "timestamp": "1700000000.1",
            "threadTimestamp": "",
            "user": {"id": "U1"},
            "RoomId": "deployRoom",
            "Message": "add label staging to build abc-1.2.0",
            "User": "karl",
            "exit_code": 0,
            "stdout": "2026-12-25 - Christmas Day\n",
        },
    },
    "Context": {"label": "staging", "build": "abc-1.2.0", "requestor": "karl", "Requestor": "U1"},
}


class Said(NamedTuple):
    """One template in each language."""

    ours: str
    django: str
    jinja: str


SAME = [
    "{{ Event.Payload.User }}",
    "{{ Event.Payload.user.id }}",
    "{{ Event.Pack.Labels.env }}",
    "Hi {{ Context.requestor }} - labeled {{ Context.build}} build as {{ Context.label }}",
    "Hey <@{{ Context.Requestor }}>!\nPlease find below the UK bank holidays for the current year:\n"
    "{{Event.Payload.stdout}}",
    "{% if Event.Payload.threadTimestamp != '' %}{{ Event.Payload.threadTimestamp }}{% else %}"
    "{{ Event.Payload.timestamp }}{% endif %}",
]
TEMPLATES = [
    *(Said(text, text, text) for text in SAME),
    Said(
        "{{ Event.Payload.Message|split:' '|index:3 }}",
        "{{ Event.Payload.Message|split:' '|index:3 }}",
        "{{ Event.Payload.Message|split(' ')|index(3) }}",
    ),
    Said(
        "{{ Event.Payload.message|match:'^flyte(\\\\s+)uk-bank-holidays$' }}",
        "{{ Event.Payload.message|match:'^flyte(\\\\s+)uk-bank-holidays$' }}",
        "{{ Event.Payload.message|match('^flyte(\\\\s+)uk-bank-holidays$') }}",
    ),
    Said(
        "{{ Event.Payload.RoomId == 'deployRoom' && Event.Payload.Message|match:'^add label' }}",
        "{% if Event.Payload.RoomId == 'deployRoom' and Event.Payload.Message|match:'^add label' %}True{% else %}"
        "False{% endif %}",
        "{{ Event.Payload.RoomId == 'deployRoom' and Event.Payload.Message|match('^add label') }}",
    ),
    Said(
        "{{ Event.Payload.exit_code|integer == 0 }}",
        "{% if Event.Payload.exit_code|integer == 0 %}True{% else %}False{% endif %}",
        "{{ Event.Payload.exit_code|int == 0 }}",
    ),
    Said(
        "contact {{ datastore('teams').devinf.email }}",
        "{% datastore 'teams' as found %}contact {{ found.devinf.email }}",
        "contact {{ datastore('teams').devinf.email }}",
    ),
]

Render = Callable[[], str]


def match(value: str, pattern: str) -> bool:
    return re2.search(pattern, value) is not None


def split(value: str, mark: str) -> list[str]:
    return value.split(mark)


def index(value: list[str], place: int) -> str:
    return value[place] if place < len(value) else ""


def stored(key: str) -> Any:
    return STORED[key]


def integer(value: Any) -> int:
    return int(value)


def django_engine() -> Engine:
    """Django's engine without escaping, as our language has none unless asked for."""
    library = Library()
    functions: dict[str, Callable[..., Any]] = {"match": match, "split": split, "index": index, "integer": integer}
    library.filters.update(functions)
    library.simple_tag(stored, name="datastore")
    engine = Engine(autoescape=False)
    engine.template_builtins.append(library)
    return engine


def jinja_environment() -> SandboxedEnvironment:
    found = SandboxedEnvironment(autoescape=False, cache_size=0)
    found.filters.update({"match": match, "split": split, "index": index})
    found.globals["datastore"] = stored
    return found


def ours(said: Said) -> Render:
    template = compile_template(said.ours)
    return lambda: template.render(RenderContext(dict(VARIABLES), stored))


def in_django(engine: Engine) -> Callable[[Said], Render]:
    def render(said: Said) -> Render:
        template = Template(said.django, engine=engine)
        return lambda: template.render(Context(VARIABLES, autoescape=False))

    return render


def in_jinja(environment: SandboxedEnvironment) -> Callable[[Said], Render]:
    def render(said: Said) -> Render:
        template = environment.from_string(said.jinja)
        return lambda: template.render(VARIABLES)

    return render


def rate(calls: list[Callable[[], Any]]) -> float:
    """Calls a second, over whole rounds of all of them."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for _ in range(20):
            for call in calls:
                call()
        done += 20 * len(calls)
    return done / (time.perf_counter() - began)


def main() -> None:
    """Measure, and print a line of JSON a language."""
    if not settings.configured:
        settings.configure()
        django.setup()
    engine, environment = django_engine(), jinja_environment()
    renders: dict[str, Callable[[Said], Render]] = {
        "Flyte": ours,
        "Django": in_django(engine),
        "Jinja2 sandboxed": in_jinja(environment),
    }
    compiles: dict[str, Callable[[Said], Any]] = {
        "Flyte": lambda said: language._compile(said.ours),
        "Django": lambda said: Template(said.django, engine=engine),
        "Jinja2 sandboxed": lambda said: environment.from_string(said.jinja),
    }
    check_that_all_yield_the_same(renders)
    for name, render in renders.items():
        warm = rate([render(said) for said in TEMPLATES])
        cold = rate([lambda said=said, name=name: compiles[name](said) for said in TEMPLATES])  # type: ignore[misc]
        print(json.dumps({"language": name, "renders/s": round(warm), "compiles/s": round(cold)}))


def check_that_all_yield_the_same(renders: dict[str, Callable[[Said], Render]]) -> None:
    """What yields something else must not be compared in speed."""
    for said in TEMPLATES:
        texts = {name: render(said)() for name, render in renders.items()}
        if len(set(texts.values())) != 1:
            raise ValueError(f"{said.ours} yields {texts}")


if __name__ == "__main__":
    main()
