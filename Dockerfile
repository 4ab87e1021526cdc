# One image for the server, the worker, beat, and each included pack (docs/how-to/run-in-containers.md).
FROM python:3.11-slim-bookworm AS build
WORKDIR /opt/flyte
COPY requirements-tracing.lock ./
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements-tracing.lock
COPY manage.py ./
COPY audit audit
COPY datastore datastore
COPY flows flows
COPY flow_files flow_files
COPY flyte_client flyte_client
COPY flyte_formats flyte_formats
COPY flyte_time flyte_time
COPY flyte_site flyte_site
COPY packs packs
COPY static static
COPY templates templates
RUN .venv/bin/python -m compileall -q audit datastore flow_files flows flyte_client flyte_formats flyte_site flyte_time packs

FROM python:3.11-slim-bookworm
# Programs that the Shell and Git packs run; tini reaps their orphaned processes. The base image determines the versions.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bash curl git jq tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/flyte flyte \
    && install --directory --owner flyte --mode 0700 /var/lib/flyte
COPY --from=build /opt/flyte /opt/flyte
WORKDIR /opt/flyte
USER 10001
# Anyone who can reach the container can send commands to packs, as with the original's image, unless FLYTE_AUTH=tokens is set.
# The linter reports FLYTE_SECRET_KEY_PATH as a secret, but it holds a path.
# hadolint ignore=DL3064
ENV PATH=/opt/flyte/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/flyte \
    FLYTE_BIND=0.0.0.0 \
    FLYTE_ALLOW_ANONYMOUS=true \
    FLYTE_DATABASE_URL=sqlite:////var/lib/flyte/flyte.sqlite3 \
    FLYTE_SECRET_KEY_PATH=/var/lib/flyte/secret_key
VOLUME /var/lib/flyte
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD ["sh", "-c", "port=8080; [ -z \"$FLYTE_TLS_CERT_PATH\" ] || port=8443; \
    exec curl --fail --silent --insecure --max-time 8 --output /dev/null \
    \"http${FLYTE_TLS_CERT_PATH:+s}://127.0.0.1:${FLYTE_HEALTH_PORT:-${FLYTE_PORT:-$port}}/health\""]
ENTRYPOINT ["tini", "--"]
CMD ["python", "manage.py", "run"]
