"""The Celery app: beat sends messages to check for due jobs, and workers check and run the jobs.

`flyte_site.jobs` lists the jobs. The database makes sure that each runs once per period (`flyte_site.scheduler`), so
any number of beats and workers can run, and messages can be lost or delivered twice.
"""

import logging
import ssl
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from celery import Celery  # type: ignore[import-untyped]
from celery.schedules import schedule  # type: ignore[import-untyped]
from celery.signals import setup_logging  # type: ignore[import-untyped]
from django.conf import settings
from django.utils import timezone

from flyte_site.jobs import get_hosted_jobs, get_scheduled_jobs
from flyte_site.scheduler.runner import run_if_due

RUN_JOB_TASK = "flyte.run_job"
CONNECT_SECONDS = 5
# In addition to one thread for each hosted pack, whose jobs can take seconds.
WORKER_THREADS = 4


def to_broker_url(url: str) -> str:
    """Convert a URL to Celery's form: `unix:///s.sock?db=1` becomes `redis+socket:///s.sock?virtual_host=1`."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    db_number = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.netloc}{quote(parts.path)}?virtual_host={db_number}"


def build_config() -> dict[str, Any]:
    """Build Celery's settings, with an explicit value for each that this project depends on."""
    url = settings.FLYTE_REDIS_URL
    return {
        "broker_url": to_broker_url(url),
        "broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED} if url.startswith("rediss:") else None,
        # While Redis is unavailable, jobs wait; never stop reconnecting.
        "broker_connection_retry_on_startup": True,
        "broker_connection_retry": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": CONNECT_SECONDS,
        "broker_transport_options": {"socket_connect_timeout": CONNECT_SECONDS, "socket_keepalive": True},
        "result_backend": None,
        "task_ignore_result": True,
        # Only JSON: a pickle from Redis could run any code.
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        # The next message replaces one that is lost with its worker; a message that is delivered late is outdated.
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "task_track_started": False,
        "task_publish_retry": False,
        "task_default_queue": "flyte",
        "task_create_missing_queues": False,
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": WORKER_THREADS + len(get_hosted_jobs()),
        "worker_pool": "threads",
        # Workers are neither controlled nor monitored over Redis.
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        # Django configures logging, from LOGLEVEL and LOGFILE.
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "enable_utc": True,
        "timezone": "UTC",
        # The database stores the times of runs; beat's default file for them would be a pickle.
        "beat_scheduler": "celery.beat:Scheduler",
        "beat_max_loop_interval": 5,
        "beat_schedule": build_beat_schedule(),
    }


def build_beat_schedule() -> dict[str, Any]:
    """Build Celery's schedule: a check of each job every poll interval. A message expires when the next is sent."""
    return {
        job.name: {
            "task": RUN_JOB_TASK,
            "args": [job.name],
            "schedule": schedule(job.schedule.poll_interval),
            "options": {"expires": job.schedule.poll_interval},
        }
        for job in get_scheduled_jobs()
    }


app = Celery("flyte")
app.config_from_object(build_config())


@setup_logging.connect  # type: ignore[untyped-decorator]
def keep_django_logging(**_: Any) -> None:
    """Prevent Celery from configuring logging, by receiving this signal; silence its lines about each message."""
    for name in ("celery.beat", "celery.worker.strategy", "celery.worker.request", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("celery.utils.functional").setLevel(logging.INFO)


@app.task(name=RUN_JOB_TASK)  # type: ignore[untyped-decorator]
def run_job(name: str) -> None:
    """Run the job of this name if it is due."""
    job = next(job for job in get_scheduled_jobs() if job.name == name)
    run_if_due(job, timezone.now())
