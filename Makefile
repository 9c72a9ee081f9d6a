# Everything one does with this repository. `make help` lists it.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

# The race detector for everything but SQLite: translated from C, on its own mutexes and covered by its own tests, it is most of what
# would be watched, and takes two thirds of the time away from the code of this repository.
RACE := -race '-gcflags=modernc.org/sqlite/lib=-race=false'

# Packages whose tests start processes and containers and wait for them to answer. They run after the others and one by one, so that what they
# wait for has the processors. Those of OUTSIDE drive the released binary, in which the race detector would see nothing.
OUTSIDE        := ./internal/e2e ./test/faults ./test/services
WITH_PROCESSES := ./internal/driver/docker $(OUTSIDE)

# How long each fuzz target runs, and arguments for `make demo`.
FUZZTIME ?= 3s
ARGS     ?=

# Runs a command with a PostgreSQL and a Docker daemon of its own (see test/services).
SERVICES := bin/services

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.PHONY: build
build: ## Build the static binary into bin/lethe
	CGO_ENABLED=0 go build -trimpath -o bin/lethe ./cmd/lethe

.PHONY: demo
demo: ## Reset a fleet of simulated phones and prove that it worked (ARGS='--phones 200')
	go run ./cmd/lethe demo $(ARGS)

.PHONY: test
test: $(SERVICES) ## Test everything: race detector, both databases, Docker, the vendor's SDK, a short fuzz run
	$(SERVICES) -- $(MAKE) test-here compat test-side-by-side

# The tests of the main module with the services that the environment names.
.PHONY: test-here
test-here:
	go test $(RACE) -timeout 20m $$(go list ./... | grep -vxFf <(go list $(WITH_PROCESSES)))
	go test $(RACE) -timeout 20m ./internal/driver/docker
	CGO_ENABLED=0 go test -timeout 20m -p 1 $(OUTSIDE)

# What minds no company, each with about one processor's work.
.PHONY: test-side-by-side
test-side-by-side:
	$(MAKE) -j2 --output-sync=target test-model fuzz

# The model has one goroutine at work at a time, and a race detector that makes it many times slower: most of its seeds run without, built
# like the released binary, which others have built already.
.PHONY: test-model
test-model:
	CGO_ENABLED=0 go test -timeout 20m ./test/model

# The vendor's own SDK as a client of the real binary, and so outside too. A module of its own, so that nobody else downloads the SDK.
.PHONY: compat
compat:
	cd test/compat && CGO_ENABLED=0 go test -timeout 20m ./...

.PHONY: fuzz
fuzz: ## Run each fuzz target for a moment (FUZZTIME=10m for longer)
	@files=$$(grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' cmd internal api client | sort) || { echo 'no fuzz target found' >&2; exit 1; }
	for file in $$files; do
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]+)\(.*/\1/p' "$$file"); do
			echo "fuzz $$target ($$(dirname "$$file"))"
			go test -tags fuzz -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s "./$$(dirname "$$file")"
		done
	done

# How often each case of the fault suite strikes.
ROUNDS ?= 300

# How many seeds the model runs, and from which on.
SEEDS ?= 1000
FIRST ?= 1

.PHONY: model
model: ## Run the fleet against its reference, SEEDS=1000 times, each a history of its own that replays exactly (FIRST=1)
	LETHE_MODEL_SEEDS=$(SEEDS) LETHE_MODEL_FIRST=$(FIRST) CGO_ENABLED=0 go test -v -timeout 6h ./test/model

.PHONY: faults
faults: $(SERVICES) model ## Kill, pause and cut off what runs, for many rounds, and check every invariant (ROUNDS=300)
	LETHE_FAULT_ROUNDS=$(ROUNDS) $(SERVICES) -- go test -v -timeout 6h ./test/faults

# The largest fleet of `make bench`, in phones, 20000 at least. FLEET=1000000 is the big run: it takes hours, and some 25 GB below TMPDIR.
FLEET ?= 100000

.PHONY: bench
bench: build $(SERVICES) ## Print every benchmark's figures beside what they are compared with (FLEET=1000000 for the big run)
	$(SERVICES) --durable -- $(MAKE) bench-here

# The benchmarks with the services that the environment names; then a fleet that the binary makes and resets, on both databases:
# all of FLEET where that is a million, else a 50th.
.PHONY: bench-here
bench-here:
	@files=$$(grep -rlE '^func Benchmark[A-Z]' --include='*_test.go' cmd internal api client) || { echo 'no benchmark found' >&2; exit 1; }
	for dir in $$(dirname $$files | sort -u); do
		fleet=
		if grep -qE 'flag\.Int\("fleet"' $$dir/*_test.go; then fleet=-fleet=$(FLEET); fi
		go test -run '^$$' -bench . -timeout 6h "./$$dir" $$fleet
	done
	phones=$$(($(FLEET) < 1000000 ? $(FLEET) / 50 : $(FLEET)))
	for database in sqlite "$${LETHE_TEST_POSTGRES:-}"; do
		if [ -z "$$database" ]; then continue; fi
		echo "lethe bench of $$phones phones on $${database%%:*}"
		bin/lethe bench --phones $$phones --servers $$((phones / 500 + 1)) --concurrent-boots 4 --boot-time 100ms --data-files 1 --rounds 1 --database "$$database"
	done

.PHONY: check
check: fmt vet lint imports generated tidy vuln test ## Everything that must hold before a change is merged: format, vet, lint, import rules, tests

.PHONY: fmt
fmt:
	@unformatted=$$(gofmt -l .)
	if [ -n "$$unformatted" ]; then echo "run gofmt -w on:" $$unformatted >&2; exit 1; fi

.PHONY: vet
vet:
	go vet ./...
	cd test/compat && go vet ./...

.PHONY: lint
lint: bin/staticcheck
	bin/staticcheck ./...
	cd test/compat && ../../bin/staticcheck ./...

.PHONY: imports
imports:
	go test ./internal/archtest

# The database of known vulnerabilities; a mirror, or a folder as file:///DIR, where that one cannot be reached.
VULNDB ?= https://vuln.go.dev

.PHONY: vuln
vuln: bin/govulncheck ## Look for known vulnerabilities in what the code calls (VULNDB=file:///DIR; VULN=required fails without the database)
	@case '$(VULNDB)' in
	http*) reached=$$(curl -fsS -m 20 -o /dev/null '$(VULNDB)/index/db.json' 2>&1 && echo yes || true) ;;
	*) reached=yes ;;
	esac
	if [ "$$reached" != yes ]; then
		echo "vuln: NOT RUN: $(VULNDB) cannot be reached, so nothing is known about vulnerabilities: $$reached" >&2
		[ '$(VULN)' != required ] || exit 1
		exit 0
	fi
	bin/govulncheck -db '$(VULNDB)' ./...

# Generated files are what their generators make today.
.PHONY: generated
generated:
	@state() { git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null | sort; }
	before=$$(state || true)
	go generate ./...
	after=$$(state || true)
	if [ "$$before" != "$$after" ]; then
		echo 'go generate changed these files; keep the change:' >&2
		diff <(echo "$$before") <(echo "$$after") | sed -nE 's/^> [0-9a-f]+ +//p' >&2
		exit 1
	fi

.PHONY: tidy
tidy:
	go mod tidy -diff
	cd test/compat && go mod tidy -diff

# The checker at the version that go.mod pins.
bin/govulncheck: go.mod
	go build -o $@ golang.org/x/vuln/cmd/govulncheck

# The linter at the version that go.mod pins.
bin/staticcheck: go.mod
	go build -o $@ honnef.co/go/tools/cmd/staticcheck

.PHONY: $(SERVICES)
$(SERVICES):
	go build -o $@ ./test/services

.ONESHELL:
