FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt

COPY . .
# The values are not used: building static files needs the settings of a deployment, and no server.
RUN SECRET_KEY=only-for-building-static-files-0123456789 ALLOWED_HOSTS=build \
    DATABASE_URL=postgresql://build/build BROKER_URL=redis://build/0 DURABLE_APPS=examples \
    python manage.py collectstatic --no-input

RUN useradd --system --no-create-home perdure
USER perdure
EXPOSE 8000
CMD ["gunicorn", "durable_engine.config.wsgi", "--bind=0.0.0.0:8000", "--worker-class=gthread", "--threads=8", "--no-control-socket"]
