# preheat: `make run` serves, `make test` tests. Both set up what they need.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
AGENT    := cmd/preheat/embedded/preheat-agent
TOOLS    := bin/tools

# A number of times, because one that ends by the clock fails now and then:
# https://go.dev/issue/75804.
FUZZTIME ?= 50000x

OOM_REPEAT ?= 500

# Development tools, built from source at these versions.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOTESTSUM     := gotest.tools/gotestsum@v1.13.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.1.4

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: run
run: build ## serve on 127.0.0.1:5000, with a Docker Engine if one answers, else without; make run ARGS="--pool python=8"
	@case "$${PREHEAT_DRIVER:-} $(ARGS)" in
	*docker*) ;;
	*) [ -n "$${DOCKER_HOST:-}" ] || bin/preheat doctor --quiet --driver docker 2>/dev/null || scripts/runtime.sh ;;
	esac
	exec bin/preheat serve $(ARGS)

.PHONY: test
test: images runsc testtools $(TOOLS)/gotestsum ## set everything up and run every test, those on the real Engine included
	@echo "testing"
	export PREHEAT_ENGINE=required PREHEAT_BROWSER=required PREHEAT_RUNSC=required PREHEAT_PROMETHEUS=required
	$(TOOLS)/gotestsum --format pkgname-and-test-fails --hide-summary=skipped -- -race -count=1 -p 1 -timeout 20m ./...

.PHONY: build
build: ## build bin/preheat
	@echo "building bin/preheat (the first time may take a minute or two)"
	export CGO_ENABLED=0
	GOOS=linux go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o $(AGENT) ./cmd/preheat-agent
	go build -trimpath -buildvcs=false -ldflags='-s -w -X main.version=$(VERSION)' -o bin/preheat ./cmd/preheat

.PHONY: engine
engine: build ## make sure that a Docker Engine answers; PREHEAT_INSTALL_ENGINE=no installs none
	@scripts/engine.sh bin/preheat doctor --quiet --driver docker

.PHONY: runtime
runtime: ## make sure that there is an OCI runtime, for sandboxes without an Engine; PREHEAT_INSTALL_RUNTIME=no installs none
	@scripts/runtime.sh

.PHONY: images
images: engine runtime ## make the languages' images, for both drivers
	@bin/preheat images build --driver docker
	bin/preheat images build --driver oci

.PHONY: runsc
runsc: engine ## give the Engine on this machine gVisor's runsc as a runtime
	@scripts/runsc.sh

.PHONY: testtools
testtools: ## make sure that there is what the tests drive: a Chromium, curl, zip, Prometheus, crun
	@scripts/testtools.sh

.PHONY: server-image
server-image: build engine ## make the server's image, preheat-server:latest, without a registry
	@deploy/image/import.sh bin/preheat preheat-server:latest

.PHONY: bench
bench: images ## measure the drivers side by side, and against docker run and docker exec; make bench ARGS="-drivers docker,oci"
	@bin/preheat images build --driver oci --data bin/bench
	go run ./bench $(ARGS)

.PHONY: load
load: images loadtools ## put load on a server of its own with k6 and hey, print the table; ARGS=-update writes docs/load.md
	@bench/load.sh $(ARGS)

.PHONY: loadtools
loadtools: ## make sure that there is what puts load on a server: k6, hey
	@scripts/loadtools.sh

.PHONY: web
web: ## bundle the page anew from web/src; make web ARGS=-check only says whether it is up to date
	@go run ./tools/web $(ARGS)

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## vet and lint, the rules for imports included, and check that the page is bundled
	@echo "linting"
	go run ./tools/web -check
	go vet ./...
	$(TOOLS)/golangci-lint run

.PHONY: vuln
vuln: $(TOOLS)/govulncheck ## look for known vulnerabilities; exceptions are in scripts/vuln.sh
	@scripts/vuln.sh $(TOOLS)/govulncheck

.PHONY: fuzz
fuzz: ## fuzz every decoder and the host's side of the stream FUZZTIME (default 50000x, times) each
	@grep -roE '^func Fuzz[A-Za-z]+' --include='*_test.go' . | while IFS=: read -r file func; do
		echo "fuzzing $${func#func }"
		go test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null
	done

.PHONY: oom
oom: images ## tell OOM kills apart OOM_REPEAT (default 500) times for each way to die, and print how often it was right
	@PREHEAT_ENGINE=required PREHEAT_OOM_REPEAT=$(OOM_REPEAT) go test -count=1 -timeout 2h -v -run '^TestOutOfMemoryIsToldApart$$' ./sandbox/docker | grep -v '^=== '

.PHONY: attacks
attacks: images ## carry out every attack of the catalogue on both drivers, print the tables, write docs/attacks.md and docs/attacks-oci.md
	@PREHEAT_ENGINE=required go test -count=1 -p 1 -timeout 30m -v -run '^TestAttacksAreContained$$' ./sandbox/docker ./sandbox/oci -update | grep -vE '^ *(===|--- PASS)'

.PHONY: clean
clean: ## remove what was built
	@rm -rf bin $(AGENT)

$(TOOLS)/golangci-lint: Makefile
	@$(call install,$(GOLANGCI_LINT))

$(TOOLS)/gotestsum: Makefile
	@$(call install,$(GOTESTSUM))

$(TOOLS)/govulncheck: Makefile
	@$(call install,$(GOVULNCHECK))

install = echo "installing $(1) (the first time may take some minutes)"; GOBIN=$(CURDIR)/$(TOOLS) go install $(1)
