# `make` alone lists the targets.
SHELL := /bin/bash
GO ?= go
export CGO_ENABLED ?= 0
TOOL = cd tools && $(GO) tool -n
PKGS = ./...

.DEFAULT_GOAL := help
.PHONY: help run test check race fuzz crash bench soak eval golden generate build lint nightly stale

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build, take in a real recorded attack, show what was found, and serve on 127.0.0.1
	@./bin/tokenwatch demo --serve --data data

build: ## one static binary: bin/tokenwatch
	@$(GO) build -trimpath -ldflags '-s -w' -o bin/tokenwatch ./cmd/tokenwatch

test: ## all tests, as a new clone runs them
	$(GO) test $(PKGS)

check: lint stale ## formatting, vet, staticcheck, generated files up to date, then the tests
	$(GO) test -short $(PKGS)

lint: ## gofmt, vet, staticcheck
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt'ed:"; echo "$$out"; exit 1; fi
	$(GO) vet $(PKGS)
	$$($(TOOL) staticcheck) $(PKGS)

generate: ## what is made from proto/, and the licence notices of what is linked in
	$(GO) generate ./proto
	$(GO) -C tools run ./notices > THIRD_PARTY_NOTICES

stale: ## fail if what `make generate` writes differs from what is committed
	@made() { find proto THIRD_PARTY_NOTICES -type f | sort | xargs sha256sum | sha256sum; }; \
	before=$$(made); $(MAKE) --no-print-directory generate; after=$$(made); \
	if [ "$$before" != "$$after" ]; then echo "generated files were stale: commit what 'make generate' wrote"; exit 1; fi

golden: ## rewrite the expected parts of the golden cases; read the diff
	$(GO) test $$(grep -rl --include='*_test.go' '"github.com/cockroachdb/datadriven"' . | xargs -n1 dirname | sort -u) -rewrite

race: ## the tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short -timeout 20m $(PKGS)

FUZZTIME ?= 10s
fuzz: ## every fuzz target for FUZZTIME (10s; total:300 shares 300 s out among all)
	@tools/fuzz.sh $(FUZZTIME)

SEEDS ?= 1 2 3
KILLS ?= 100
crash: ## crash at every file-system operation, faults at every operation, bit rot, and real SIGKILLs
	for seed in $(SEEDS); do $(GO) test ./storage/local -run 'Crash|Fault|Rot' -crash.seed $$seed -v || exit 1; done
	$(GO) test ./engine -run Crash -v
	$(GO) test ./bench -run 'Kill|Poll' -kills $(KILLS) -v -timeout 30m

bench: build ## ingest 2 M events over HTTP with the engine on, and print the figures
	$(GO) run ./bench

SOAK ?= 1h
soak: build ## ingest, questions, merges and retention all at once for SOAK
	$(GO) run ./bench -soak $(SOAK) -dir bench/out

N ?= 5000000
bench-perf: build ## N events (5 M; N=1000000 is the quick form) in and asked about, beside DuckDB, ClickHouse and VictoriaLogs where they are
	$(GO) run ./bench -versus -n $(N)

eval: build ## what is found in simulated companies (needs the evaluation kit and python3)
	$(GO) run ./bench/eval

nightly: ## the long forms: more crashes, kills, histories and fuzzing
	$(MAKE) fuzz FUZZTIME=30m
	$(GO) test ./storage/local -run 'Crash|Fault|Rot' -crash.long -v -timeout 4h
	$(GO) test ./storage/history -run Mutations -mutations 10000 -seed 0 -timeout 4h
	$(GO) test ./engine -histories 2000 -seed 0 -timeout 4h
	$(GO) test ./bench -run 'Kill|Poll' -kills 2000 -v -timeout 12h
	$(GO) test ./ingest/source -run Rotations -rotations 200 -v
	shippers=$$(mktemp -d); tools/shippers/install.sh $$shippers; \
	$(GO) test -tags integration ./bench -run Shippers -shippers $$shippers -records 100000 -v -timeout 3h; r=$$?; rm -rf $$shippers; exit $$r
