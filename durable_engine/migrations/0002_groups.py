"""The groups people are put into, with their rights."""

from django.conf import settings
from django.db import migrations

# codename: (model that carries it, what it allows)
PERMISSIONS = {
    "view_execution": ("execution", "Can view execution"),
    "view_payload": ("execution", "Can see inputs, results and errors of executions"),
    "reveal_payload": ("execution", "Can reveal masked fields of payloads, which is audited"),
    "start_execution": ("execution", "Can start executions"),
    "stop_execution": ("execution", "Can stop executions"),
    "operate_execution": ("execution", "Can pause, resume and retry executions"),
    "delete_execution": ("execution", "Can delete execution"),
    "delete_savedview": ("savedview", "Can delete saved view"),
    "decide_callback": ("callback", "Can approve, reject and complete callbacks"),
    "view_function": ("function", "Can view function"),
    "view_worker": ("worker", "Can view worker"),
    "view_auditentry": ("auditentry", "Can view audit entry"),
    "view_schedule": ("schedule", "Can view schedule"),
    "change_schedule": ("schedule", "Can change schedule"),
    "manage_people": ("auditentry", "Can make accounts and put them into groups"),
    "manage_apikey": ("apikey", "Can make, change, rotate and revoke API keys"),
    "manage_remotefunction": ("remotefunction", "Can say where remote functions run"),
}
VIEW = ["view_execution", "view_function", "view_worker", "view_schedule"]
GROUPS = {
    "Viewer": VIEW,
    "Payload viewer": [*VIEW, "view_payload"],
    "Operator": [*VIEW, "start_execution", "stop_execution", "operate_execution", "change_schedule"],
    "Approver": ["view_execution", "decide_callback"],
    "Administrator": list(PERMISSIONS),
}


def create_groups(apps, schema_editor):
    """Create each group with its rights; a group of that name that exists already is given them."""
    group_model = apps.get_model("auth", "Group")
    permission_model = apps.get_model("auth", "Permission")
    content_types = apps.get_model("contenttypes", "ContentType").objects
    # Django creates the rows of permissions only after the last migration; these are needed now.
    rows = {}
    for codename, (model, label) in PERMISSIONS.items():
        content_type, _ = content_types.get_or_create(app_label="durable_engine", model=model)
        rows[codename], _ = permission_model.objects.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": label}
        )
    for name, codenames in GROUPS.items():
        group, _ = group_model.objects.get_or_create(name=name)
        group.permissions.add(*(rows[codename] for codename in codenames))


def delete_groups(apps, schema_editor):
    apps.get_model("auth", "Group").objects.filter(name__in=GROUPS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("durable_engine", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [migrations.RunPython(create_groups, delete_groups)]
