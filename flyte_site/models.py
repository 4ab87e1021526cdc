"""When each periodic job last ran."""

from django.db import models


class JobRun(models.Model):
    """One row a job. Who changes `tick` from an earlier one to the current one, and nobody else, does the job then.

    `tick` names the time that the job last ran for: the beginning of its interval, or its day as midnight in UTC.
    """

    name = models.CharField(primary_key=True, max_length=60)
    tick = models.DateTimeField()
    ran_at = models.DateTimeField(null=True)
    runs = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name
