# Everything works from a fresh checkout: each target first calls scripts/setup, which installs what is missing.
# Build folders are build/<preset> (CMakePresets.json); the release program is build/zef.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SECONDS ?= 60
unexport SECONDS
ROUNDS ?= 100
SEEDS ?= 100
MINUTES ?= 60

.PHONY: help setup build run test crash stores model sim soak mutants bench format lint asan tsan fuzz clean

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: ## install the Debian packages that are missing
	@scripts/setup

build: setup ## the release program, build/zef
	@scripts/build release zef
	@ln -sfn release/zef build/zef

run: build ## start a small network, move money through it, show what happens (zef demo)
	@build/zef demo

test: setup ## build and run all tests
	@scripts/test release

crash: setup ## kill and stop processes of a network under load, in ROUNDS=100 rounds
	@scripts/build release zef_crash_rounds
	@build/release/tests/networks/zef_crash_rounds --rounds $(ROUNDS)

stores: setup ## real object stores: their tests, ROUNDS=100 rounds of crashes; with 100 or more, a power cut and all drills
	@scripts/build release zef zef_store_tests zef_real_store_tests zef_crash_rounds
	@ZEF_SOURCE=$(CURDIR) ROUNDS=$(ROUNDS) tests/stores/run build/release/src/zef_store_tests \
		build/release/tests/stores/zef_real_store_tests build/release/tests/networks/zef_crash_rounds build/release/zef

sim: setup ## simulate SEEDS=100 whole networks, with faults and Byzantine participants
	@scripts/build release zef_simulate
	@build/release/zef_sim --seeds $(SEEDS)

soak: setup ## the same for MINUTES=60, with new seeds all the time
	@scripts/build release zef_simulate
	@build/release/zef_sim --minutes $(MINUTES) --first $$(date +%s)

mutants: setup ## break one rule after the other: the simulation has to notice each
	@scripts/build mutants zef_simulate
	@build/mutants/zef_sim --seeds 20 --json
	@build/mutants/zef_sim --mutants --seeds 200

bench: build ## micro-benchmarks, and the cost of a transfer (zef bench core)
	@scripts/bench

format: setup ## format the sources
	@scripts/format

lint: setup ## check format and clang-tidy
	@scripts/format --check
	@scripts/lint

model: setup ## search all states of the instance protocol and of the fencing of logs
	@scripts/build release zef_model_search
	@build/release/zef_model

asan: setup ## tests with AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/test asan

tsan: setup ## tests with ThreadSanitizer
	@scripts/test tsan

fuzz: setup ## every fuzzer for SECONDS=60
	@scripts/fuzz $(SECONDS)

clean: ## remove all that was built
	@rm -rf build
