# The words a newcomer types. Each target sets up what it needs.
SHELL := bash
PYTHON ?= python3
VENV ?= .venv
export PYTHON VENV
export PATH := $(abspath $(VENV))/bin:$(PATH)

.PHONY: help setup check test demo demo-clean lock clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

setup:
	@scripts/setup

lock: setup  ## renew the hash-locked requirements from requirements*.in
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements.txt requirements-bootstrap.in -o requirements-bootstrap.txt
