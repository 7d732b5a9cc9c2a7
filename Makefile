# The words a newcomer types. Each target sets up what it needs and says what it does.
SHELL := bash
PYTHON ?= python3
VENV ?= .venv
export PYTHON VENV
export PATH := $(abspath $(VENV))/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-clean check test scenario bench lock

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

demo: setup  ## a throw-away machine on this computer, with the sample app served from it
	@scripts/demo up
	@ansible-playbook site.yml -i inventory/demo
	@scripts/demo address

demo-clean:  ## remove the machine of the demo and all that belongs to it
	@scripts/demo down

check: setup  ## the fast lane: lint, syntax and unit tests, under a minute
	@scripts/check

test: setup  ## everything: lint, unit tests, every Molecule scenario on Debian 12 and 13
	@scripts/scenarios

scenario: setup  ## one Molecule scenario: make scenario SCENARIO=nginx
	@scripts/scenarios $(SCENARIO)

bench: setup  ## how long it all takes, against a naive script (15 minutes): make bench BENCH="--repeat 1 --keep"
	@scripts/image 12 13
	@python benchmarks/bench.py $(BENCH)

setup:  ## .venv alone, from the hash-locked requirements
	@scripts/setup

lock: setup  ## renew the hash-locked requirements from requirements*.in
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements.txt requirements-bootstrap.in -o requirements-bootstrap.txt
