"""Vacancies, under a name that another app uses too."""

from django.db import models


class JobRecord(models.Model):
    """A vacancy."""

    title = models.CharField(max_length=100)

    class Meta:
        permissions = [
            ("view_job", "Can see a vacancy before it is published"),
            ("rerun_job", "Can publish it again"),
        ]

    def __str__(self):
        return self.title
