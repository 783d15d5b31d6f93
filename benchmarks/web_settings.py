"""The product's settings, and one view more: what the service API is compared with."""

from durable_engine.config.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.web_urls"
