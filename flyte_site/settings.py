"""Settings of the whole server, read from the environment (docs/reference/settings.md lists every variable)."""

from datetime import time, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from flyte_site.auth.oidc.role_mapping import NO_ROLE_RULES, parse_role_rules
from flyte_site.auth.policy import PolicyError, read_policy_file
from flyte_site.core.environment import Environment, find_certificate_error, is_loopback
from flyte_site.core.observability import tracing
from flyte_site.core.observability.logging_config import build_logging_config, choose_log_format
from flyte_site.core.secrets.encryption import parse_keys
from flyte_site.core.secrets.secret_key import MIN_KEY_LENGTH, find_weakness, load_or_create_secret_key
from flyte_site.db.connection_settings import build_database_settings
from flyte_site.http.openapi.settings import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS

BASE_DIR = Path(__file__).resolve().parent.parent
DAY = 24 * 60 * 60
HUNDRED_YEARS = 100 * 365 * DAY

FLYTE_ENVIRONMENT = env = Environment()

# The listen address. By default only loopback, because the server can send commands to shells.
FLYTE_BIND = env.address("FLYTE_BIND", "127.0.0.1", check_id="flyte.E023")
FLYTE_TLS_CERT_PATH = env.readable_file("FLYTE_TLS_CERT_PATH", check_id="flyte.E002")
FLYTE_TLS_KEY_PATH = env.readable_file("FLYTE_TLS_KEY_PATH", check_id="flyte.E003")
if bool(env.text("FLYTE_TLS_CERT_PATH")) != bool(env.text("FLYTE_TLS_KEY_PATH")):
    missing = "FLYTE_TLS_KEY_PATH" if env.text("FLYTE_TLS_CERT_PATH") else "FLYTE_TLS_CERT_PATH"
    env.error("flyte.E004", missing, "is required: TLS needs both the certificate and its key")
elif (
    FLYTE_TLS_CERT_PATH
    and FLYTE_TLS_KEY_PATH
    and (certificate_error := find_certificate_error(FLYTE_TLS_CERT_PATH, FLYTE_TLS_KEY_PATH))
):
    env.error("flyte.E024", "FLYTE_TLS_CERT_PATH", certificate_error)
FLYTE_PORT = env.integer(
    "FLYTE_PORT", 8443 if FLYTE_TLS_CERT_PATH else 8080, minimum=1, maximum=65535, check_id="flyte.E001"
)
FLYTE_WEB_WORKERS = env.integer("FLYTE_WEB_WORKERS", 2, minimum=1, maximum=256, check_id="flyte.E005")
FLYTE_WEB_THREADS = env.integer("FLYTE_WEB_THREADS", 320, minimum=1, maximum=4096, check_id="flyte.E006")
# Clients: open connections of each web process, and times for a request to arrive and for pauses in its body.
connections, seconds = partial(env.integer, maximum=65_536), partial(env.integer, minimum=1, maximum=3600)
FLYTE_WEB_CONNECTIONS = connections("FLYTE_WEB_CONNECTIONS", 4096, minimum=16, check_id="flyte.E095")
FLYTE_WEB_CONNECTIONS_PER_ADDRESS = connections(
    "FLYTE_WEB_CONNECTIONS_PER_ADDRESS", 1024, minimum=1, check_id="flyte.E096"
)
FLYTE_HEADER_TIMEOUT_SECONDS = seconds("FLYTE_HEADER_TIMEOUT_SECONDS", 10, check_id="flyte.E098")
FLYTE_CLIENT_TIMEOUT_SECONDS = seconds("FLYTE_CLIENT_TIMEOUT_SECONDS", 30, check_id="flyte.E099")
FLYTE_LONG_POLL_SECONDS = env.integer("FLYTE_LONG_POLL_SECONDS", 30, minimum=0, maximum=30, check_id="flyte.E029")

# Size limits in bytes. That of results is by default not below that of other bodies, as in earlier releases.
MIB = 1024 * 1024
limit = partial(env.integer, minimum=1024, maximum=1024 * MIB)
FLYTE_MAX_HEADER_BYTES = limit("FLYTE_MAX_HEADER_BYTES", 32_768, minimum=8192, maximum=MIB, check_id="flyte.E097")
FLYTE_MAX_BODY_BYTES = limit("FLYTE_MAX_BODY_BYTES", MIB, check_id="flyte.E007")
FLYTE_MAX_RESULT_BYTES = limit("FLYTE_MAX_RESULT_BYTES", max(16 * MIB, FLYTE_MAX_BODY_BYTES), check_id="flyte.E093")
FLYTE_MAX_RESULT_BYTES_IN_FLIGHT = limit("FLYTE_MAX_RESULT_BYTES_IN_FLIGHT", 64 * MIB, check_id="flyte.E094")
FLYTE_MAX_DATASTORE_VALUE_BYTES = limit("FLYTE_MAX_DATASTORE_VALUE_BYTES", 16 * MIB, check_id="flyte.E008")

# The lease of an action if its step has no timeout, and the interval between checks for expired leases.
lifetime = partial(env.integer, minimum=1, maximum=HUNDRED_YEARS)
FLYTE_ACTION_LEASE_SECONDS = lifetime("FLYTE_ACTION_LEASE_SECONDS", DAY, check_id="flyte.E025")
FLYTE_LEASE_CHECK_SECONDS = env.integer("FLYTE_LEASE_CHECK_SECONDS", 15, minimum=1, maximum=DAY, check_id="flyte.E026")

# Retention.
FLYTE_EVENT_KEEP = env.integer("FLYTE_EVENT_KEEP", 50, minimum=0, maximum=10_000, check_id="flyte.E009")
FLYTE_EVENT_SAMPLES = env.integer("FLYTE_EVENT_SAMPLES", 5, minimum=0, maximum=100, check_id="flyte.E040")
FLYTE_EVENT_KEEP_BYTES = limit("FLYTE_EVENT_KEEP_BYTES", 65_536, minimum=0, check_id="flyte.E041")
FLYTE_TTL_IN_SECONDS = lifetime("FLYTE_TTL_IN_SECONDS", 31_557_600, check_id="flyte.E010")
FLYTE_MAX_PACKS_PER_TOKEN = env.integer(
    "FLYTE_MAX_PACKS_PER_TOKEN", 1000, minimum=1, maximum=10**6, check_id="flyte.E120"
)
FLYTE_SHOULD_DELETE_DEAD_PACKS = env.boolean("FLYTE_SHOULD_DELETE_DEAD_PACKS", False, check_id="flyte.E011")
FLYTE_DELETE_DEAD_PACKS_AT_HH_COLON_MM = env.clock_time(
    "FLYTE_DELETE_DEAD_PACKS_AT_HH_COLON_MM", time(23, 0), check_id="flyte.E012"
)
# The time zone of daily jobs and log lines. Django changes TZ in this process; child processes get the original value.
TZ = env.text("TZ")
FLYTE_ZONE = env.time_zone("TZ", check_id="flyte.E027")
FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS = lifetime(
    "FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS", 7 * DAY, check_id="flyte.E013"
)
FLYTE_FLOW_VERSIONS_KEEP = env.integer("FLYTE_FLOW_VERSIONS_KEEP", 0, minimum=0, maximum=10_000, check_id="flyte.E028")

# Values in events and inputs are masked if their key contains one of these texts.
FLYTE_MASKED_KEYS = env.text(
    "FLYTE_MASKED_KEYS",
    "password,passwd,pwd,passphrase,secret,token,authorization,api_key,access_key,private_key,credential",
)

# Encryption of secrets: the first key encrypts, all of them decrypt.
FLYTE_ENCRYPTION_KEYS = env.text("FLYTE_ENCRYPTION_KEYS")
try:
    parse_keys(FLYTE_ENCRYPTION_KEYS)
except ValueError as keys_error:
    env.error("flyte.E050", "FLYTE_ENCRYPTION_KEYS", str(keys_error))
    FLYTE_ENCRYPTION_KEYS = ""

# Hosted packs (packs.hosted), and the hosts that they can call.
FLYTE_WEBAPI_PLUGINS = env.text("FLYTE_WEBAPI_PLUGINS", "WaitUntil,Approval")
FLYTE_WEBAPI_CONFIG = env.assignment_lines("FLYTE_WEBAPI_CONFIG", check_id="flyte.E080")
FLYTE_WEBAPI_ALLOWED_HOSTS = env.text("FLYTE_WEBAPI_ALLOWED_HOSTS")
FLYTE_WEBAPI_SECRETS_PATH = env.readable_folder("FLYTE_WEBAPI_SECRETS_PATH", check_id="flyte.E081")

# API authentication: none, the server's own tokens, or also those of an identity provider (flyte_site.auth).
FLYTE_OIDC_ISSUER_URL = env.url("FLYTE_OIDC_ISSUER_URL", ("https", "http"), check_id="flyte.E014")
FLYTE_OIDC_ISSUER_CLIENT_ID = env.text("FLYTE_OIDC_ISSUER_CLIENT_ID")
FLYTE_AUTH_POLICY_PATH = env.readable_file("FLYTE_AUTH_POLICY_PATH", check_id="flyte.E015")
OIDC_VARIABLES = ("FLYTE_OIDC_ISSUER_URL", "FLYTE_OIDC_ISSUER_CLIENT_ID", "FLYTE_AUTH_POLICY_PATH")
CONSOLE_VARIABLES = ("FLYTE_CONSOLE_CLIENT_ID", "FLYTE_CONSOLE_CLIENT_SECRET", "FLYTE_CONSOLE_ROLES")
set_oidc_variables = [variable for variable in OIDC_VARIABLES if env.text(variable)]
# If one of these is set, the issuer can be for the console only; FLYTE_AUTH must then be set to none or tokens.
set_console_variables = [variable for variable in CONSOLE_VARIABLES if env.text(variable)]
set_api_oidc_variables = [
    variable for variable in set_oidc_variables if not set_console_variables or variable == "FLYTE_AUTH_POLICY_PATH"
]
FLYTE_AUTH = env.choice(
    "FLYTE_AUTH", "oidc" if set_oidc_variables else "none", ("none", "tokens", "oidc"), check_id="flyte.E060"
)
if FLYTE_AUTH == "oidc":
    for variable in OIDC_VARIABLES:
        if variable not in set_oidc_variables:
            env.error("flyte.E016", variable, f"is required: FLYTE_AUTH=oidc needs all of {', '.join(OIDC_VARIABLES)}")
elif set_api_oidc_variables:
    env.error(
        "flyte.E061", "FLYTE_AUTH", f"is {FLYTE_AUTH}, but {set_api_oidc_variables[0]} is set: remove one of the two"
    )
if FLYTE_OIDC_ISSUER_URL.startswith("http://") and not is_loopback(urlsplit(FLYTE_OIDC_ISSUER_URL).hostname or ""):
    env.warning(
        "flyte.W010", "FLYTE_OIDC_ISSUER_URL", "is not an https:// URL: attackers on the network can forge tokens"
    )
FLYTE_AUTH_POLICY = None
if FLYTE_AUTH_POLICY_PATH:
    try:
        FLYTE_AUTH_POLICY = read_policy_file(FLYTE_AUTH_POLICY_PATH)
    except PolicyError as policy_error:
        env.error("flyte.E062", "FLYTE_AUTH_POLICY_PATH", f"{FLYTE_AUTH_POLICY_PATH}, {policy_error}")

# Console sign-in: local accounts and users of the identity provider.
FLYTE_CONSOLE_CLIENT_ID = env.text("FLYTE_CONSOLE_CLIENT_ID", FLYTE_OIDC_ISSUER_CLIENT_ID)
FLYTE_CONSOLE_CLIENT_SECRET = env.text("FLYTE_CONSOLE_CLIENT_SECRET")
FLYTE_CONSOLE_SCOPES = env.words("FLYTE_CONSOLE_SCOPES", "openid profile email", "openid", check_id="flyte.E072")
FLYTE_CONSOLE_ROLES = env.parsed("FLYTE_CONSOLE_ROLES", NO_ROLE_RULES, parse_role_rules, check_id="flyte.E071")
FLYTE_CONSOLE_SIGN_ON = bool(set_console_variables and FLYTE_OIDC_ISSUER_URL and FLYTE_CONSOLE_CLIENT_ID)
if set_console_variables and not FLYTE_CONSOLE_SIGN_ON:
    missing = "FLYTE_CONSOLE_CLIENT_ID" if env.text("FLYTE_OIDC_ISSUER_URL") else "FLYTE_OIDC_ISSUER_URL"
    env.error(
        "flyte.E070", missing, f"is required because {set_console_variables[0]} is set: console sign-in needs both"
    )
FLYTE_LOCAL_ACCOUNTS = env.boolean("FLYTE_LOCAL_ACCOUNTS", True, check_id="flyte.E073")
if not FLYTE_LOCAL_ACCOUNTS and not FLYTE_CONSOLE_SIGN_ON:
    env.error("flyte.E074", "FLYTE_LOCAL_ACCOUNTS", "is false, so FLYTE_CONSOLE_CLIENT_ID is required for sign-in")
FLYTE_SESSION_SECONDS = env.integer(
    "FLYTE_SESSION_SECONDS", 7 * DAY, minimum=60, maximum=HUNDRED_YEARS, check_id="flyte.E075"
)
FLYTE_SESSION_IDLE_SECONDS = env.integer(
    "FLYTE_SESSION_IDLE_SECONDS", DAY // 2, minimum=60, maximum=HUNDRED_YEARS, check_id="flyte.E076"
)
FLYTE_ONE_TIME_PASSWORD_SECONDS = env.integer(
    "FLYTE_ONE_TIME_PASSWORD_SECONDS", 3 * DAY, minimum=60, maximum=HUNDRED_YEARS, check_id="flyte.E077"
)

# Access without tokens. On a network, the operator must confirm that everyone has full access.
FLYTE_ALLOW_ANONYMOUS = env.boolean("FLYTE_ALLOW_ANONYMOUS", False, check_id="flyte.E063")
if FLYTE_AUTH == "none" and not is_loopback(FLYTE_BIND) and not FLYTE_ALLOW_ANONYMOUS:
    env.error(
        "flyte.E064",
        "FLYTE_BIND",
        f"is {FLYTE_BIND}, so anyone on the network could command packs: set FLYTE_AUTH=tokens, "
        "or FLYTE_ALLOW_ANONYMOUS=true to allow it",
    )
FLYTE_ALLOWED_HOSTS = env.hosts("FLYTE_ALLOWED_HOSTS", check_id="flyte.E065")
FLYTE_TRUSTED_PROXIES = env.networks("FLYTE_TRUSTED_PROXIES", "127.0.0.0/8, ::1", check_id="flyte.E066")

# Database and Redis.
FLYTE_DATABASE_URL = (
    env.database_url("FLYTE_DATABASE_URL", check_id="flyte.E018") or f"sqlite:///{BASE_DIR / 'flyte.sqlite3'}"
)
# Timeouts of PostgreSQL sessions: short ones for requests, longer ones for periodic jobs.
FLYTE_REQUEST_LOCK_SECONDS = env.integer("FLYTE_REQUEST_LOCK_SECONDS", 5, minimum=1, maximum=DAY, check_id="flyte.E100")
FLYTE_REQUEST_STATEMENT_SECONDS = env.integer(
    "FLYTE_REQUEST_STATEMENT_SECONDS", 30, minimum=1, maximum=DAY, check_id="flyte.E101"
)
FLYTE_REQUEST_IDLE_SECONDS = env.integer(
    "FLYTE_REQUEST_IDLE_SECONDS", 30, minimum=1, maximum=DAY, check_id="flyte.E102"
)
FLYTE_JOB_LOCK_SECONDS = env.integer("FLYTE_JOB_LOCK_SECONDS", 15, minimum=1, maximum=DAY, check_id="flyte.E103")
FLYTE_JOB_STATEMENT_SECONDS = env.integer(
    "FLYTE_JOB_STATEMENT_SECONDS", 600, minimum=1, maximum=DAY, check_id="flyte.E104"
)
FLYTE_JOB_IDLE_SECONDS = env.integer("FLYTE_JOB_IDLE_SECONDS", 60, minimum=1, maximum=DAY, check_id="flyte.E105")
FLYTE_DATABASE_KEEPALIVE_SECONDS = env.integer(
    "FLYTE_DATABASE_KEEPALIVE_SECONDS", 10, minimum=1, maximum=DAY, check_id="flyte.E106"
)
FLYTE_MAX_WAITING_PER_EXECUTION = env.integer(
    "FLYTE_MAX_WAITING_PER_EXECUTION", 16, minimum=1, maximum=512, check_id="flyte.E107"
)
FLYTE_REDIS_URL = env.url("FLYTE_REDIS_URL", ("redis", "rediss", "unix"), check_id="flyte.E019")
if env.text("FLYTE_MGO_HOST"):
    env.warning(
        "flyte.W001",
        "FLYTE_MGO_HOST",
        "has no effect: MongoDB is not used; set the database with FLYTE_DATABASE_URL "
        "(see docs/how-to/move-from-the-go-server.md)",
    )

DATABASES = {"default": build_database_settings(FLYTE_DATABASE_URL, FLYTE_DATABASE_KEEPALIVE_SECONDS)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SECRET_KEY = env.text("FLYTE_SECRET_KEY")
FLYTE_SECRET_KEY_PATH = env.text("FLYTE_SECRET_KEY_PATH")
if SECRET_KEY and (key_weakness := find_weakness(SECRET_KEY)):
    env.warning(
        "flyte.W003",
        "FLYTE_SECRET_KEY",
        f"{key_weakness}: an attacker who guesses it can sign in as any user; set at least {MIN_KEY_LENGTH} random "
        "characters, or unset it on a single machine to generate a key",
    )
if not SECRET_KEY:
    try:
        SECRET_KEY = load_or_create_secret_key(Path(FLYTE_SECRET_KEY_PATH or BASE_DIR / ".secret_key"))
    except OSError as key_file_error:
        message = f"is required: a generated key can't be stored ({key_file_error.strerror})"
        env.error("flyte.E020", "FLYTE_SECRET_KEY", message)
        SECRET_KEY = "unused: the server does not start without a key"  # noqa: S105

DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "flyte_site.urls"
WSGI_APPLICATION = "flyte_site.wsgi.application"
APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # flyte_site.http.input.body limits sizes by path

INSTALLED_APPS = [
    "flyte_site",  # before the apps whose commands it extends
    "flyte_site.console.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "csp",
    "crispy_forms",
    "django_ace",
    "django_htmx",
    "datastore",
    "packs",
    "flows",
    "audit",
]
MIDDLEWARE = [
    "flyte_site.http.middleware.RequestIdMiddleware",
    "flyte_site.http.middleware.TrustedProxyMiddleware",
    "flyte_site.http.middleware.MiddlewareByPath",  # which continues with one of the next two lists
]
FLYTE_API_MIDDLEWARE = [
    "flyte_site.http.middleware.ApiHeadersMiddleware",
    "django.middleware.common.CommonMiddleware",
    "flyte_site.http.middleware.MethodMiddleware",
    "flyte_site.http.middleware.ProblemMiddleware",
    "flyte_site.auth.middleware.AuthMiddleware",
    "flyte_site.http.input.body.BodySizeMiddleware",
]
FLYTE_PAGE_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "flyte_site.console.middleware.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.common.CommonMiddleware",
    "flyte_site.console.error_pages.ErrorPageMiddleware",
    "flyte_site.http.middleware.MethodMiddleware",
    "flyte_site.auth.middleware.PageAuthMiddleware",
    "flyte_site.http.input.body.BodySizeMiddleware",
    "flyte_site.console.middleware.ConsoleMiddleware",  # which continues with the next list, in the console
]
FLYTE_CONSOLE_MIDDLEWARE = [
    "flyte_site.console.middleware.HttpsSessionMiddleware",
    "flyte_site.console.middleware.HttpsCsrfMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "flyte_site.console.middleware.SessionLimitMiddleware",
    "flyte_site.http.input.body.ConsoleBodySizeMiddleware",
    "axes.middleware.AxesMiddleware",
]
CONTEXT_PROCESSORS = [
    f"django.{app}.context_processors.{name}"
    for app, name in (("template", "request"), ("contrib.auth", "auth"), ("contrib.messages", "messages"))
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": CONTEXT_PROCESSORS},
    }
]
CRISPY_ALLOWED_TEMPLATE_PACKS = CRISPY_TEMPLATE_PACK = "flyte"

# Pages can only load and run files of this server; inline scripts and styles are blocked.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "worker-src": ["'self'", "blob:"],
        "manifest-src": ["'self'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
X_FRAME_OPTIONS = "DENY"

# Sessions of the console.
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # rejects locked-out attempts before the other backends
    *(["flyte_site.console.login_throttling.PasswordBackend"] if FLYTE_LOCAL_ACCOUNTS else []),
    *(["flyte_site.console.oidc_login.ConsoleOIDCBackend"] if FLYTE_CONSOLE_SIGN_ON else []),
]
OIDC_AUTHENTICATION_CALLBACK_URL = "admin:sign_on_return"
OIDC_RP_SCOPES, OIDC_USE_PKCE = FLYTE_CONSOLE_SCOPES, True
OIDC_MAX_STATES = 10  # concurrent sign-ins of one browser
SESSION_ENGINE, SESSION_COOKIE_AGE = "flyte_site.console.sessions", FLYTE_SESSION_SECONDS
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "flyte_session", "flyte_csrf"
# Behind an HTTPS proxy, `flyte_site.console.middleware` makes the cookies of each response secure.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = bool(FLYTE_TLS_CERT_PATH)
# Only if this server terminates TLS: a proxy that does sends its own header for all of its sites.
SECURE_HSTS_SECONDS = 365 * DAY if FLYTE_TLS_CERT_PATH else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains, and
    "security.W021",  # HSTS preloading: subdomains and the parent domain can belong to others
    # These are in the lists after MIDDLEWARE: authentication, messages, sessions, lockouts, CSRF, security headers.
    *("admin.E408", "admin.E409", "admin.E410", "axes.W002", "security.W001", "security.W002", "security.W003"),
    "security.W008",  # HTTPS redirect: with TLS, the server does not serve plain HTTP
]

# After this many failures, a username is locked for an address for some time. Locking a name for all addresses would
# let anyone lock out other users. `SignInHandler` also locks an address, after more failures for all names together.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_HANDLER = "flyte_site.console.login_throttling.SignInHandler"
AXES_FAILURE_LIMIT, AXES_COOLOFF_TIME = 5, timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT, AXES_RESET_ON_SUCCESS = False, True
AXES_CLIENT_IP_CALLABLE = "flyte_site.console.login_throttling.get_client_address"
AXES_WHITELIST_CALLABLE = "flyte_site.console.login_throttling.is_oidc_login"
AXES_LOCKOUT_CALLABLE = "flyte_site.console.login_throttling.lockout_response"
AXES_SENSITIVE_PARAMETERS = ["username", "csrfmiddlewaretoken"]
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = AXES_VERBOSE = False
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "flyte_site.console.error_pages.csrf_failure"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
STATIC_URL = "/static/"
STATICFILES_DIRS, WHITENOISE_USE_FINDERS = [BASE_DIR / "static"], True

TIME_ZONE, USE_I18N = "UTC", False

NEGOTIATION = "flyte_site.http.output.negotiation"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": [f"{NEGOTIATION}.JSONRenderer", f"{NEGOTIATION}.YAMLRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": f"{NEGOTIATION}.ContentNegotiation",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PARSER_CLASSES": [f"{NEGOTIATION}.JSONBodyParser", f"{NEGOTIATION}.YAMLBodyParser"],
    "URL_FORMAT_OVERRIDE": None,
    "EXCEPTION_HANDLER": "flyte_site.http.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
}

LOGLEVEL = env.log_level("LOGLEVEL", "INFO", check_id="flyte.E021")
LOGFILE = env.writable_file("LOGFILE", check_id="flyte.E022")
FLYTE_LOG_FORMAT = env.choice("FLYTE_LOG_FORMAT", "text", ("text", "json"), check_id="flyte.E091")

# Tracing, configured by the variables of OpenTelemetry.
FLYTE_TRACES = tracing.is_requested(env.values)
if tracing_error := tracing.find_configuration_error(env.values):
    env.error("flyte.E092", *tracing_error)
# The folder in which the processes of a machine share their metrics for /metrics; by default a temporary one.
FLYTE_METRICS_PATH = env.writable_folder("FLYTE_METRICS_PATH", check_id="flyte.E090")

env.warn_about_misspellings("flyte.W002")

LOGGING = build_logging_config(
    LOGLEVEL, LOGFILE, choose_log_format(env.text("FLYTE_LOG_FORMAT") and FLYTE_LOG_FORMAT, LOGFILE), FLYTE_ZONE
)
