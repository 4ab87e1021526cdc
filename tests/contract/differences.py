"""The table of intended differences between recorded and expected responses.

A row has the exchanges that it applies to, the change, and the reason, in the words of the architecture page, of the
recording's notes or of the template rules. A row must change every exchange that it names, and a row for all exchanges
of a kind at least one: otherwise `test_differences` fails. All other responses must be as recorded. Rows are applied in
this order, each to the result of the previous ones.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass

from tests.contract import cascades
from tests.contract.changes import (
    YAML_TYPE,
    Change,
    ConversationState,
    both,
    empty,
    escaped,
    flow_found,
    flow_saved,
    head_of,
    header,
    keys_renamed,
    maps_print_as_json,
    missing_if_refused,
    nulls_kept,
    numbers_exact,
    pack_found,
    problem,
    refused,
    registered,
    same_as,
    whole_numbers_print_as_such,
    with_base_url,
    with_created_entries,
    with_requested_type,
    without,
)
from tests.contract.recording import Exchange, ExchangeResponse

# These phases run on separate servers.
UNDER_POLICY = "auth"
DATABASE_AWAY = "mongo down"


@dataclass(frozen=True)
class Difference:
    """A row: `exchanges` by name, or `when` for all of a kind."""

    reason: str
    change: Change
    exchanges: tuple[str, ...] = ()
    when: Callable[[Exchange], bool] = lambda exchange: False

    def applies_to(self, exchange: Exchange) -> bool:
        """Return True if the row applies to this exchange."""
        return exchange.name in self.exchanges or self.when(exchange)


@dataclass(frozen=True)
class Expectation:
    """The expected response of an exchange, and the rows that changed it."""

    exchange: Exchange
    answer: ExchangeResponse
    rows: tuple[Difference, ...]


def _all(exchange: Exchange) -> bool:
    return True


def _creates_pack(exchange: Exchange) -> bool:
    return (exchange.method, exchange.path) == ("POST", "/v1/packs")


def _creates_flow(exchange: Exchange) -> bool:
    return (exchange.method, exchange.path) == ("POST", "/v1/flows")


def _lists(exchange: Exchange) -> bool:
    is_successful_get = exchange.method == "GET" and exchange.recorded.status == 200
    return is_successful_get and exchange.path in ("/v1/packs", "/v1/flows", "/v1/datastore")


def _reads_item(exchange: Exchange) -> bool:
    return exchange.method in ("GET", "HEAD") and exchange.path.startswith("/v1/datastore/")


def _audits(exchange: Exchange) -> bool:
    return exchange.path.startswith("/v1/audit")


DIFFERENCES = (
    Difference(
        "HEAD on `/`, `/v1/packs` … drops the connection | HEAD works wherever GET does",
        head_of("index"),
        ("index HEAD",),
    ),
    Difference(
        "HEAD on `/`, `/v1/packs` … drops the connection | HEAD works wherever GET does",
        head_of("packs empty"),
        ("HEAD packs",),
    ),
    Difference(
        "HEAD on `/`, `/v1/packs` … drops the connection | HEAD works wherever GET does",
        head_of("item get html (accept yaml ignored)"),
        ("item HEAD",),
    ),
    Difference(
        "YAML only by the exact header `application/x-yaml` | parameters, `application/yaml` and `text/yaml` too; "
        "`Accept` by the rules of HTTP",
        header("Content-Type", YAML_TYPE),
        ("v1 accept yaml with params is json", "v1 accept list is json"),
    ),
    Difference(
        "YAML only by the exact header `application/x-yaml` | parameters, `application/yaml` and `text/yaml` too",
        registered,
        ("pack post yaml with charset param is not yaml", "pack post text/yaml is not yaml"),
    ),
    Difference(
        "names and label values that YAML reads as bool or number are taken as the text that was written",
        registered,
        ("pack post yaml number label", "pack post yaml bool-like name"),
    ),
    Difference(
        "names and label values that YAML reads as bool or number are taken as the text that was written (and so are "
        "keys: `n` stays `n`, `yes` stays `yes`)",
        keys_renamed({"false": "n", "true": "yes"}),
        when=_all,
    ),
    Difference(
        "`X-Forwarded-Proto: weird`, a list in `X-Forwarded-Host` are taken as they are | "
        "`http` or `https` alone; the first host of a list",
        with_base_url("weird://H/", "http://H/"),
        ("v1 X-Forwarded-Proto any text",),
    ),
    Difference(
        "`X-Forwarded-Proto: weird`, a list in `X-Forwarded-Host` are taken as they are | "
        "`http` or `https` alone; the first host of a list",
        with_base_url("a.example.org, b.example.org", "a.example.org"),
        ("v1 X-Forwarded-Host list kept as is",),
    ),
    Difference(
        "pack without a name, `{}`, `null`, trailing text: 201 | 400, problem",
        refused(400),
        (
            "pack post empty yaml",
            "pack post json null",
            "pack post missing name",
            "pack post empty object",
            "pack post trailing garbage",
        ),
    ),
    Difference(
        "rels that merely contain `up` or `self` are refused (`setup`) | only `up`, `self` and rels ending in "
        "`/event`, `/takeAction`, `/actionResult`",
        registered,
        ("pack post link rel setup", "pack post link rel myself"),
    ),
    Difference(
        "POST pack answers `text/plain` | `application/json` (or YAML when asked)",
        with_requested_type,
        when=_creates_pack,
    ),
    Difference(
        "names with a slash can't be fetched again | percent-encoded paths work everywhere; `Location` and hrefs are "
        "escaped",
        escaped,
        when=_all,
    ),
    Difference(
        "names with a slash can't be fetched again | percent-encoded paths work everywhere",
        pack_found("A b/c"),
        ("pack get encoded name",),
    ),
    Difference(
        "names with a slash can't be fetched again | percent-encoded paths work everywhere",
        empty(204),
        ("pack delete slash id",),
    ),
    Difference(
        "names with a slash can't be fetched again | percent-encoded paths work everywhere",
        flow_found,
        ("flow get name with space",),
    ),
    Difference(
        "names with a slash can't be fetched again | percent-encoded paths work everywhere",
        empty(201),
        ("item put encoded slash",),
    ),
    Difference("`?:packId=X` overrides the path | means nothing", refused(404), ("pack query override of path param",)),
    Difference(
        "flow by schema wrong: 500; type wrong: 400; multi-line criteria: 500 | 400 with paths; multi-line is fine",
        refused(400),
        (
            "flow post missing name",
            "flow post missing steps",
            "flow post null steps",
            "flow post step without event",
            "flow post step without command",
            "flow post command without packName",
            "flow post name number",
            "flow post criteria bool",
            "flow post context array",
            "flow post bad json",
            "flow post empty body",
            "flow post array",
            "flow post yaml invalid by schema",
            "flow post other case keys",
        ),
    ),
    Difference(
        "flow by schema wrong: 500; type wrong: 400; multi-line criteria: 500 | 400 with paths; multi-line is fine",
        flow_saved,
        ("flow post multi-line criteria",),
    ),
    Difference(
        "flow with an empty name, a broken template, duplicate or unknown step ids: 201 | 400, all errors at once",
        refused(400),
        (
            "flow post empty name",
            "flow post bad template is accepted",
            "flow post dependsOn unknown step",
            "flow post duplicate step ids",
            "detail flow onlydep",
        ),
    ),
    Difference(
        "MongoDB takes no key that starts with `$`, so the original answers 500; "
        "storage here | Django's ORM, SQLite by default, PostgreSQL",
        flow_saved,
        ("flow dollar key in input",),
    ),
    Difference("… and such a flow can be fetched", flow_found, ("flow get dollar key",)),
    Difference(
        "unknown keys in a flow: kept out, 201 | 400 with a suggestion", refused(400), ("flow post unknown fields",)
    ),
    Difference("objects that were refused above do not exist afterwards", missing_if_refused, when=_all),
    Difference("lists have the objects accepted above, and not the refused ones", with_created_entries, when=_lists),
    Difference(
        "stored content type | served with `nosniff`, active types as attachment",
        header("X-Content-Type-Options", "nosniff"),
        when=lambda exchange: _reads_item(exchange) and exchange.recorded.status == 200,
    ),
    Difference(
        "stored content type | served with `nosniff`, active types as attachment",
        both(header("X-Content-Type-Options", "nosniff"), header("Content-Disposition", "attachment")),
        ("item get html (accept yaml ignored)", "item HEAD"),
    ),
    Difference(
        "event `{}` or `null`: 202; result without an event name: 202 | 400: `event` is required",
        refused(400),
        ("event null", "event empty object", "result with no event name"),
    ),
    Difference("result sent twice | 202 if equal, else 409", refused(409), ("result twice",)),
    Difference(
        "result for an action never taken: 500; by a wrong pack: connection dropped | 409",
        refused(409),
        (
            "result for action never taken",
            "result wrong pack",
            "result labelled action by pack without labels",
        ),
    ),
    Difference(
        "`?commandName=` at take (in every link) | ignored; only `actionName` works | both work",
        empty(204),
        ("take with commandName that matches nothing",),
    ),
    Difference(
        "… so that the next take returns the action that was not taken there",
        cascades.taken_instead("di", cascades.DI, "cy", cascades.CY),
        ("take with actionName in form body, match",),
    ),
    Difference(
        "… and the following take returns the following action",
        cascades.taken_instead("ed", cascades.ED, "di", cascades.DI),
        ("take it (X-Forwarded)",),
    ),
    Difference(
        "body `pack` in an event | overrides the caller | ignored: no flow listens to what that pack sent itself, and "
        "the take gets what still waits",
        cascades.taken_instead("spoof", cascades.SPOOF, "ed", cascades.ED),
        ("take after spoofed event",),
    ),
    Difference(
        "body `pack` in an event | overrides the caller | ignored",
        cascades.without_the_spoofed_event,
        when=_audits,
    ),
    Difference(
        "a step without `dependsOn` fires twice on a result | once, in a new execution",
        empty(204),
        ("detail take ownresult 3",),
    ),
    Difference(
        "a step without `dependsOn` fires twice on a result | once, in a new execution",
        cascades.fired_once,
        when=_audits,
    ),
    Difference(
        'steps without id share the key `""` in the audit | `step-1`, `step-2` …',
        cascades.steps_have_ids,
        ("detail audit noid", "audit all"),
    ),
    Difference(
        "null in a list stops the step; in a map it is dropped | null stays null",
        cascades.null_taken,
        ("detail take nullinlist 1",),
    ),
    Difference(
        "null in a list stops the step; in a map it is dropped | null stays null",
        cascades.null_ran,
        ("detail audit nullinlist", "audit all"),
    ),
    Difference(
        "R4 null | dropped from maps, stops a list | stays null",
        nulls_kept,
        when=_all,
    ),
    Difference("R1 numbers keep their kind | `5` prints `5`", whole_numbers_print_as_such, when=_all),
    Difference("R1 numbers keep their kind | integers are exact", numbers_exact, when=_all),
    Difference("R3 maps and lists print | compact JSON", maps_print_as_json, when=_all),
    Difference(
        "audit shows an unfinished action's `result` with empty strings and year 1 | no `result` until there is one",
        cascades.no_empty_result,
        when=_audits,
    ),
    Difference("executions that differ above are sorted by the time of their change", cascades.in_order, when=_audits),
    Difference(
        "audit limit or start negative: 500; not a number: ignored | 400, problem",
        refused(400),
        ("audit limit text ignored", "audit limit negative", "audit start negative"),
    ),
    Difference(
        "database away: hangs 60 s, then 500 | 500 from `/health`, 503 with `Retry-After` elsewhere, within seconds",
        both(refused(503), header("Retry-After", "5")),
        ("down event",),
    ),
    Difference(
        "path in the policy, method not: 405 | 401, as the manual says",
        both(refused(401), without("Allow")),
        ("auth method not in policy",),
    ),
    Difference(
        "numeric claims and mixed lists never match | they match, by their text",
        same_as("auth claim number as string"),
        ("auth claim number (policy '1')", "auth claim mixed list"),
    ),
    Difference(
        "`?:packId=X` overrides the path | means nothing", refused(401), ("auth templated claim, query override",)
    ),
    Difference(
        "under a policy HEAD and OPTIONS have rules of their own | HEAD is judged as GET",
        both(same_as("auth no token"), header("Content-Type", "application/problem+json; charset=utf-8")),
        ("auth HEAD",),
    ),
    Difference(
        "without a policy OPTIONS lists all methods | OPTIONS lists the methods of the path, and needs no token",
        header("Allow", "GET, HEAD"),
        ("index OPTIONS",),
    ),
    Difference(
        "without a policy OPTIONS lists all methods | OPTIONS lists the methods of the path, and needs no token",
        header("Allow", "GET, HEAD, POST"),
        ("OPTIONS packs",),
    ),
    Difference("bodies of errors are text or empty | the problem shape, whatever the status", problem, when=_all),
)


def expectations(exchanges: Iterable[Exchange]) -> list[Expectation]:
    """Build the expectations for these exchanges, a conversation in this order."""
    state = ConversationState()
    return [_expectation(exchange, state) for exchange in exchanges]


def _expectation(exchange: Exchange, state: ConversationState) -> Expectation:
    answer = deepcopy(exchange.recorded)
    rows = []
    for row in DIFFERENCES:
        if row.applies_to(exchange):
            before = deepcopy(answer)
            row.change(exchange, answer, state)
            if repr(answer) != repr(before):
                rows.append(row)
    state.learn(exchange, answer)
    return Expectation(exchange, answer, tuple(rows))
