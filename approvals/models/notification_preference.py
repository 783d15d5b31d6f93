"""Which mails somebody wants."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class NotificationPreference(models.Model):
    """A person's wishes; without a row, every mail is sent. What is asked is in the inbox in any case."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+")
    mail_requests = models.BooleanField(default=True)  # somebody asks me
    mail_reminders = models.BooleanField(default=True)  # it is overdue, or was escalated
    mail_outcomes = models.BooleanField(default=True)  # what I asked for, or was asked, is decided or withdrawn
    mail_comments = models.BooleanField(default=True)  # comments, questions and replies

    class Meta:
        db_table = "approval_notification_preference"

    def __str__(self) -> str:
        return str(self.user_id)
