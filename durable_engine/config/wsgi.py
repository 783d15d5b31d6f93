"""The WSGI application: `gunicorn durable_engine.config.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "durable_engine.config.settings")

application = get_wsgi_application()
