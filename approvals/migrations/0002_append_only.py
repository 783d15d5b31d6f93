"""The history is only ever added to, whoever writes; and the rights of supervisors are given to administrators."""

from django.conf import settings
from django.db import migrations

FORWARDS = """
CREATE FUNCTION approval_event_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the history of an approval request is append-only';
END $$;
CREATE TRIGGER approval_event_append_only BEFORE UPDATE OR DELETE ON approval_event
  FOR EACH ROW EXECUTE FUNCTION approval_event_append_only();
"""
BACKWARDS = """
DROP TRIGGER approval_event_append_only ON approval_event;
DROP FUNCTION approval_event_append_only();
"""
PERMISSIONS = {
    "view_approvalrequest": "Can view approval request",
    "supervise_approvalrequest": "Can reassign, extend and withdraw every approval request",
    "break_glass": "Can decide an approval request alone in an emergency",
}


def give_rights(apps, schema_editor):
    """Let administrators see and supervise every request. To decide alone is given to nobody by default."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="approvals", model="approvalrequest"
    )
    rows = {}
    for codename, name in PERMISSIONS.items():
        rows[codename], _ = apps.get_model("auth", "Permission").objects.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": name}
        )
    group, _ = apps.get_model("auth", "Group").objects.get_or_create(name="Administrator")
    group.permissions.add(rows["view_approvalrequest"], rows["supervise_approvalrequest"])


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0001_initial"),
        ("durable_engine", "0002_groups"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(FORWARDS, BACKWARDS),
        migrations.RunPython(give_rights, migrations.RunPython.noop),
    ]
