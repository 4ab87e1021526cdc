"""Templates of the docs, compiled and rendered by Flyte, by Django and by Jinja2's sandbox.

Each template is written in every language. Filters and functions that Django and Jinja2 lack (`match`, `split`,
`datastore` …) are added in a minimal form. Run `python -m bench.templates`; it prints a line of JSON per language.
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

from flows.template import RenderContext, compile_template
from flows.template import compiler as language

MEASURED_SECONDS = 1.5
DATASTORE = {"teams": {"devinf": {"email": "devinf@example.com"}}}
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


class BenchTemplate(NamedTuple):
    """A template in each language."""

    flyte: str
    django: str
    jinja: str


SHARED_TEMPLATES = [
    "{{ Event.Payload.User }}",
    "{{ Event.Payload.user.id }}",
    "{{ Event.Pack.Labels.env }}",
    "Hi {{ Context.requestor }} - labeled {{ Context.build}} build as {{ Context.label }}",
    "Hey <@{{ Context.Requestor }}>!\nPlease find below the UK bank holidays for the current year:\n"
    "{{Event.Payload.stdout}}",
    "{% if Event.Payload.threadTimestamp != '' %}{{ Event.Payload.threadTimestamp }}{% else %}"
    "{{ Event.Payload.timestamp }}{% endif %}",
]
CASES = [
    *(BenchTemplate(text, text, text) for text in SHARED_TEMPLATES),
    BenchTemplate(
        "{{ Event.Payload.Message|split:' '|index:3 }}",
        "{{ Event.Payload.Message|split:' '|index:3 }}",
        "{{ Event.Payload.Message|split(' ')|index(3) }}",
    ),
    BenchTemplate(
        "{{ Event.Payload.message|match:'^flyte(\\\\s+)uk-bank-holidays$' }}",
        "{{ Event.Payload.message|match:'^flyte(\\\\s+)uk-bank-holidays$' }}",
        "{{ Event.Payload.message|match('^flyte(\\\\s+)uk-bank-holidays$') }}",
    ),
    BenchTemplate(
        "{{ Event.Payload.RoomId == 'deployRoom' && Event.Payload.Message|match:'^add label' }}",
        "{% if Event.Payload.RoomId == 'deployRoom' and Event.Payload.Message|match:'^add label' %}True{% else %}"
        "False{% endif %}",
        "{{ Event.Payload.RoomId == 'deployRoom' and Event.Payload.Message|match('^add label') }}",
    ),
    BenchTemplate(
        "{{ Event.Payload.exit_code|integer == 0 }}",
        "{% if Event.Payload.exit_code|integer == 0 %}True{% else %}False{% endif %}",
        "{{ Event.Payload.exit_code|int == 0 }}",
    ),
    BenchTemplate(
        "contact {{ datastore('teams').devinf.email }}",
        "{% datastore 'teams' as teams %}contact {{ teams.devinf.email }}",
        "contact {{ datastore('teams').devinf.email }}",
    ),
]

Render = Callable[[], str]


def match(value: str, pattern: str) -> bool:
    return re2.search(pattern, value) is not None


def split(value: str, separator: str) -> list[str]:
    return value.split(separator)


def index(value: list[str], position: int) -> str:
    return value[position] if position < len(value) else ""


def get_datastore_value(key: str) -> Any:
    return DATASTORE[key]


def integer(value: Any) -> int:
    return int(value)


def build_django_engine() -> Engine:
    """Build a Django engine without autoescaping, like Flyte's templates."""
    library = Library()
    functions: dict[str, Callable[..., Any]] = {"match": match, "split": split, "index": index, "integer": integer}
    library.filters.update(functions)
    library.simple_tag(get_datastore_value, name="datastore")
    engine = Engine(autoescape=False)
    engine.template_builtins.append(library)
    return engine


def build_jinja_environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(autoescape=False, cache_size=0)
    environment.filters.update({"match": match, "split": split, "index": index})
    environment.globals["datastore"] = get_datastore_value
    return environment


def prepare_flyte(case: BenchTemplate) -> Render:
    template = compile_template(case.flyte)
    return lambda: template.render(RenderContext(dict(VARIABLES), get_datastore_value))


def build_django_renderer(engine: Engine) -> Callable[[BenchTemplate], Render]:
    def render(case: BenchTemplate) -> Render:
        template = Template(case.django, engine=engine)
        return lambda: template.render(Context(VARIABLES, autoescape=False))

    return render


def build_jinja_renderer(environment: SandboxedEnvironment) -> Callable[[BenchTemplate], Render]:
    def render(case: BenchTemplate) -> Render:
        template = environment.from_string(case.jinja)
        return lambda: template.render(VARIABLES)

    return render


def measure_rate(calls: list[Callable[[], Any]]) -> float:
    """Measure calls per second, in complete rounds of all calls."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < MEASURED_SECONDS:
        for _ in range(20):
            for call in calls:
                call()
        count += 20 * len(calls)
    return count / (time.perf_counter() - start)


def main() -> None:
    """Print a line of JSON for each language."""
    if not settings.configured:
        settings.configure()
        django.setup()
    engine, environment = build_django_engine(), build_jinja_environment()
    renders: dict[str, Callable[[BenchTemplate], Render]] = {
        "Flyte": prepare_flyte,
        "Django": build_django_renderer(engine),
        "Jinja2 sandboxed": build_jinja_renderer(environment),
    }
    compiles: dict[str, Callable[[BenchTemplate], Any]] = {
        "Flyte": lambda case: language._compile(case.flyte),
        "Django": lambda case: Template(case.django, engine=engine),
        "Jinja2 sandboxed": lambda case: environment.from_string(case.jinja),
    }
    check_equal_output(renders)
    for name, render in renders.items():
        render_rate = measure_rate([render(case) for case in CASES])
        compile_rate = measure_rate([lambda case=case, name=name: compiles[name](case) for case in CASES])  # type: ignore[misc]
        print(json.dumps({"language": name, "renders/s": round(render_rate), "compiles/s": round(compile_rate)}))


def check_equal_output(renders: dict[str, Callable[[BenchTemplate], Render]]) -> None:
    """Check that each template has the same output in all languages. Raises `ValueError`."""
    for case in CASES:
        texts = {name: render(case)() for name, render in renders.items()}
        if len(set(texts.values())) != 1:
            raise ValueError(f"different output of {case.flyte}: {texts}")


if __name__ == "__main__":
    main()
