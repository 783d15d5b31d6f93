# Every path below is relative and every variable quoted: the project may live in a directory whose name has spaces.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test pytest compare chaos chaos-long check bench screenshots setup setup-run lock format

# The interpreter and the trusted certificates are the ones of this machine.
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := true
export UV_NO_PROGRESS := 1

PYTHON ?=
PY := .venv/bin/python
LOCK := .venv/bin/python -m uv pip compile pyproject.toml --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /|/' | while IFS='|' read -r name text; do \
		printf '  make %-10s %s\n' "$$name" "$$text"; done

run: setup-run ## Start the product: Postgres, broker, web, worker and scheduler, on this machine
	@exec $(PY) manage.py up

test: setup ## Run the tests, three files at a time, always in the same shuffled order
	@$(PY) -m pytest -n 3 --dist loadscope --no-loadscope-reorder --randomly-seed=1

pytest: setup ## Run some tests (ARGS="-k name")
	@$(PY) -m pytest $(ARGS)

compare: setup ## Run the same handlers on the AWS SDK and here (ARGS="--sdk ==3.*")
	@$(PY) -m tests.compatibility $(ARGS)

chaos: setup ## Break everything at random for three minutes (ARGS="--seed 7")
	@$(PY) -m tests.chaos --minutes 3 $(ARGS)

chaos-long: setup ## Break everything at random for half an hour
	@$(PY) -m tests.chaos --minutes 30 --no-cases $(ARGS)

check: setup ## Formatting, lint, types, import layers, templates, migrations, settings
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	find templates -name '*.html' -exec .venv/bin/djade --target-version 5.2 --check {} +
	.venv/bin/djangofmt --check templates
	@# Without a database it cannot compare with the applied ones, which is not asked here.
	$(PY) -W 'ignore:Got an error checking a consistent migration history' manage.py makemigrations --check --dry-run
	$(PY) manage.py check

format: setup ## Format code and templates
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .
	find templates -name '*.html' -exec .venv/bin/djade --target-version 5.2 {} +
	.venv/bin/djangofmt templates

bench: setup ## Measure throughput and latency on this machine
	@$(PY) -m benchmarks $(ARGS)

screenshots: setup ## Make the pictures of the documentation from the running product
	@$(PY) -m tests.screenshots

setup: ## Make .venv with everything needed to run, test and check
	@$(call install,dev)

setup-run:
	@$(call install,embedded)

lock: setup ## Resolve pyproject.toml again into the requirements files
	$(LOCK) --upgrade --extra embedded --group test --group lint --output-file requirements-dev.txt
	$(LOCK) --extra embedded --constraints requirements-dev.txt --output-file requirements-embedded.txt
	$(LOCK) --constraints requirements-dev.txt --output-file requirements.txt

# install(dev|embedded): a stamp holds what was installed and where; it is written last, so an interrupted set-up starts again.
# The stamp names the directory too, because a virtual environment stops working when it is moved.
define install
set -e; \
want="$$(pwd) $$(cat requirements-uv.txt requirements-$(1).txt | cksum)"; \
for done in $(if $(filter dev,$(1)),dev,embedded dev); do \
	have="$$(pwd) $$(cat requirements-uv.txt requirements-$$done.txt | cksum)"; \
	if [ "$$(cat .venv/.installed-$$done 2>/dev/null)" = "$$have" ] && $(PY) -c '' 2>/dev/null; then exit 0; fi; \
done; \
if ! $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11) or not sys.prefix.startswith(sys.argv[1]))' "$$(pwd -P)" 2>/dev/null; then \
	python=; \
	for name in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python="$$name"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11 or newer is needed and none was found on PATH. Install it, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	echo "Making .venv with $$("$$python" --version)"; \
	rm -rf .venv; \
	if ! "$$python" -m venv .venv; then \
		rm -rf .venv; \
		echo "Python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	fi; \
fi; \
echo "Installing requirements-$(1).txt"; \
pip="$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes"; \
uv="$(PY) -m uv pip install --quiet --python $(PY) --require-hashes"; \
if ! { $$pip -r requirements-uv.txt && $$uv -r requirements-$(1).txt; }; then \
	echo "uv cannot install here; installing with pip"; \
	$$pip -r requirements-$(1).txt; \
fi; \
printf '%s\n' "$$want" > .venv/.installed-$(1)
endef
