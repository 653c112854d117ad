# SPDX-License-Identifier: Apache-2.0
#
# make run     build the server and start it on ./data
# make test    everything that a change must pass; CI runs this and nothing else
# make fuzz    fuzz every parser, FUZZTIME each (default 60s)
# make bench   measure the server beside yardsticks of this machine, in some three minutes
# make crash   take and read back IMAGES crash images (default 500) of each store
# make kills   kill the server under load KILLS times (default 20) and look for all that it answered for
# make linear  look for an order that explains the answers to OPS operations (default 50000) of 8 clients, with 20 kills in between
# make updates update the encryption of 10000 objects and of ten of 1 GiB: no body is read or written (needs 12 GB in TMPDIR)
# make million fill a bucket with OBJECTS objects (default 1000000): starts, listings and memory must not feel it
# make lifecycle let lifecycle rules work on AGED versions (default 100000), and kill the server in the middle: the end must be as predicted
# make streams send 16 bodies of STREAM MiB (default 1024) up and down at once: memory must not feel it
# make lookups search EVENTS audit records (default 10000000): who read an object in 30 days takes at most 2 s (needs 12 GB in TMPDIR)
# make suites  run what others wrote to test S3, and real clients, each on a server of its own: ONLY=name,… some, SHORT=1 in minutes
# make release build bin/release/coffer as it is released, with the certified FIPS 140-3 module

FUZZTIME ?= 60s
IMAGES   ?= 500
KILLS    ?= 20
OPS      ?= 50000
OBJECTS  ?= 1000000
AGED     ?= 100000
STREAM   ?= 1024
EVENTS   ?= 10000000
ONLY     ?=
SHORT    ?=

# The module of releases: the one with a certificate.
FIPS140 ?= v1.0.0

.PHONY: run build release test suites suites-short lint race fips licences vulnerabilities docs fuzz fuzzed crash kills linear updates million lifecycle streams lookups bench clean

run: build
	bin/coffer serve --data ./data

# Without cgo the binary runs on any Linux. Building again costs nothing when
# nothing has changed.
build:
	CGO_ENABLED=0 go build -o bin/coffer ./cmd/coffer

# The same with the certified module, and a check that it is in there and on.
release:
	scripts/release $(FIPS140)

# The quick checks come first. The last three wait more than they work, so they run beside
# each other.
test: lint licences vulnerabilities race
	$(MAKE) -j2 -O fips suites-short fuzzed

# Form, vet, staticcheck, and the tests of the tools themselves. Those of suites read
# files of this module, of which go test's cache does not know.
lint: bin/staticcheck
	scripts/formatted
	CGO_ENABLED=0 go vet ./...
	CGO_ENABLED=0 bin/staticcheck ./...
	go -C tools vet ./...
	go -C tools test ./...
	go -C test/suites vet ./...
	go -C test/suites test -count=1 ./...

# All tests, the architecture's and the whole server's among them. Lint has vetted them.
race:
	scripts/install gcc libc6-dev
	CGO_ENABLED=1 go test -race -vet=off -timeout 20m ./...

# All tests again with the module of releases, where it refuses what FIPS 140-3 does
# not approve: servers and what is tested beside them, whole and in part.
fips: release
	CGO_ENABLED=0 GOFIPS140=$(FIPS140) GODEBUG=fips140=only go test -short -vet=off -timeout 15m ./...

# They are a module of their own, as the tools are: what they depend on is not for
# the product. What suites and servers print is kept in bin/suites.
suites: build
	go -C test/suites run . -coffer ../../bin/coffer -logs ../../bin/suites $(if $(ONLY),-only $(ONLY)) $(if $(SHORT),-short)

# With small sizes: some three minutes, and what the clients' packages take to install.
suites-short:
	$(MAKE) suites SHORT=1

licences: bin/licences
	bin/licences ./...

vulnerabilities: bin/govulncheck
	scripts/vulnerabilities

# The documents that are made from the code.
docs:
	go test ./internal/config ./internal/wire/apidoc -update

fuzz:
	scripts/fuzz $(FUZZTIME)

# The same with a fixed number of inputs each: some seconds.
fuzzed:
	scripts/fuzz 10000x

crash:
	scripts/crash $(IMAGES)

kills:
	CGO_ENABLED=0 go test ./test/e2e -run '^TestKill$$' -count=1 -v -timeout 60m -kills $(KILLS)

linear:
	CGO_ENABLED=0 go test ./test/e2e -run '^TestLinearizable$$' -count=1 -v -timeout 60m -linear $(OPS) -linearkills 20

updates:
	CGO_ENABLED=0 go test ./test/e2e -run '^TestUpdatesOfManyObjects$$' -count=1 -v -timeout 60m -updates 10000 -large 10 -largesize 1073741824 -minupdates 1000

# The ratio is between the listing's last pages and its first.
million:
	CGO_ENABLED=0 go test ./test/e2e -run '^TestLargeBucket$$' -count=1 -v -timeout 120m -objects $(OBJECTS) -maxrestart 5s -maxratio 1.3

lifecycle:
	CGO_ENABLED=0 go test ./test/e2e -run '^TestLifecycleOfManyObjects$$' -count=1 -v -timeout 60m -aged $(AGED)

# TMPDIR names the directory that has to have room for all bodies.
streams:
	CGO_ENABLED=0 go test ./test/e2e -run '^TestMemoryOfStreams$$' -count=1 -v -timeout 120m -stream $(STREAM)

# TMPDIR names the directory that has to have room for the trail and its index.
lookups:
	CGO_ENABLED=0 go test ./internal/core/audit/index -run '^TestLookups$$' -count=1 -v -timeout 60m -events $(EVENTS) -maxlookup 2s

# On a machine that does nothing else.
bench: build
	bin/coffer bench

# The tools are a module of their own, so that the product does not depend on
# what they depend on.
bin/staticcheck: tools/go.mod
	go -C tools build -o ../bin/ honnef.co/go/tools/cmd/staticcheck

bin/govulncheck: tools/go.mod
	go -C tools build -o ../bin/ golang.org/x/vuln/cmd/govulncheck

bin/licences: tools/go.mod tools/licences/main.go
	go -C tools build -o ../bin/ ./licences

clean:
	rm -rf bin
