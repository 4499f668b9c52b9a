# Every command sets up what it needs in .venv by itself; nothing has to be activated.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-long soak bench generate watch check lint golden clean

run: .venv/ready generate
	$(BIN)/python tests/demo.py

# More processes than there may be cores: half of the time, tests wait.
test: .venv/ready check lint
	$(BIN)/python -m pytest --numprocesses 4

# Random schemas through the generator, and random faults through the clients, new ones each time, and the soak: some
# minutes.
test-long: .venv/ready soak
	$(BIN)/python -m pytest tests/test_fuzz.py tests/test_machine.py --numprocesses 2 --hypothesis-profile long

# 2,000 jobs, 200 at a time, through faults of every kind, by a program that is killed again and again.
soak: .venv/ready
	$(BIN)/python tests/soak.py

# Everything that is to be fast, in turns with what it is to be faster than: some minutes, and a network to install the
# peers from, once. Writes bench.json; BENCH="imports calls" measures only that, and writes nothing.
bench: .venv/ready generate
	PYTHONPATH=tests $(BIN)/python -m bench $(BENCH)

# Generates again whenever a schema or a template is edited, until Ctrl-C.
watch: .venv/ready
	$(BIN)/runcomfy-codegen watch

generate: .venv/ready
	$(BIN)/runcomfy-codegen generate

check: .venv/ready
	$(BIN)/runcomfy-codegen check

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/basedpyright

# Rewrites the expected output of the golden folders; read the difference before you commit it.
golden: .venv/ready
	$(BIN)/python -m pytest tests/test_golden.py --rewrite-golden

clean:
	rm -rf .venv .cache .hypothesis generated/.cache out

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
