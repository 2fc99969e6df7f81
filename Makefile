# SPDX-License-Identifier: GPL-2.0-only
#
# Two commands matter: `make demo` and `make test`. Both set up whatever is missing first.

OUT ?= out/demo
BIN := .venv/bin

SECONDS ?= 600
TARGET ?=

# What tests/test_simulation_packages.py runs in guests.
PACKAGES := openssh-server openssh-client wireguard-tools iproute2 iputils-ping nginx curl

PYTHONS ?=

.PHONY: help demo test test-ns3 docs wheel wheel-check lint fuzz sanitize format doctor clean prepare-demo prepare-docs prepare-test

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: prepare-demo ## Two Linux kernels talk TCP through ns-3; results go to OUT (out/demo)
	@$(BIN)/ns3-qemu setup
	@$(BIN)/ns3-qemu demo --out $(OUT)

test: lint ## Check style and types, then run all tests
	@$(BIN)/ns3-qemu setup $(PACKAGES:%=--package %)
	@$(BIN)/ns3-qemu setup --kernel debian:6.1,flavour=amd64
	@tree=$$($(BIN)/python scripts/debian-ns3) && scripts/test-ns3 "$$tree"
	@$(BIN)/python -m pytest -m "not alone" -n auto --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -m pytest -m alone

test-ns3: ## Build the module in a copy of the tree NS3 of ns-3, and run its tests there
	@scripts/test-ns3 "$(NS3)"

docs: prepare-docs ## Build the manual, into build/docs/html
	@$(BIN)/python -m sphinx -W --keep-going -j auto -q -d build/docs/doctrees docs build/docs/html
	@echo "==> build/docs/html/index.html"

wheel: prepare-demo ## Build self-contained wheels (PYTHONS: for which) and the source distribution into dist
	@$(BIN)/python scripts/build_wheel.py $(NS3:%=--ns3 %) $(SOURCES:%=--source %) $(PYTHONS)

wheel-check: prepare-demo ## Install the wheels of dist where there is nothing but Python, and run the demo there (root)
	@scripts/try-wheels

lint: prepare-test ## Check style and types
	@scripts/lint

fuzz: prepare-test ## Fuzz what reads bytes of guests and files: TARGET (all), SECONDS (600)
	@SECONDS_EACH=$(SECONDS) scripts/fuzz $(TARGET)

sanitize: prepare-test ## Run the tests of vm/ and of the relay with sanitizers
	@scripts/sanitize

format: prepare-test ## Put all sources into the form that lint wants
	@scripts/lint --fix

doctor: prepare-demo ## Say which parts are there and what to do about those that are not
	@$(BIN)/ns3-qemu doctor

clean: ## Remove what was built in this directory (the cache stays: ns3-qemu image remove)
	rm -rf build dist out .venv .mypy_cache .pytest_cache .ruff_cache

prepare-demo:
	@scripts/bootstrap demo

prepare-docs:
	@scripts/bootstrap docs

prepare-test:
	@scripts/bootstrap test
