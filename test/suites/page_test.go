// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page's blocks have names, and each is what a client is run with: those of
// scripts are taken from the page, that of Go is compiled.
func TestThePageIsWhatIsTested(t *testing.T) {
	text, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	page := map[string]string{}
	for _, block := range regexp.MustCompile("(?ms)^```\\S+ (\\S+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		if page[block[1]] != "" {
			t.Errorf("two blocks are named %s", block[1])
		}
		page[block[1]] = block[2]
	}
	program, err := os.ReadFile("sdkgo/client.go")
	if err != nil {
		t.Fatal(err)
	}
	const compiled = "sdk-go.go"
	if page[compiled] == "" || !strings.HasSuffix(string(program), "\n"+page[compiled]) {
		t.Error("sdkgo/client.go does not end with the block of the page")
	}
	delete(page, compiled)

	found, err := findClients(clients)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`snippet(?:\(.*, )?[ "]+([\w$.-]+)`)
	for _, c := range found {
		files, err := filepath.Glob("clients/lib/*")
		if err != nil {
			t.Fatal(err)
		}
		script, err := os.ReadFile(c.path)
		if err != nil {
			t.Fatal(err)
		}
		all := string(script)
		for _, f := range files {
			// What a script shares with others it names.
			if !strings.Contains(string(script), "lib/"+filepath.Base(f)) || filepath.Base(f) == "client.sh" {
				continue
			}
			shared, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all += string(shared)
		}
		used := 0
		for _, m := range named.FindAllStringSubmatch(all, -1) {
			name := strings.Replace(m[1], "$client", c.name, 1)
			if name == "import" {
				continue
			}
			used++
			if page[name] == "" {
				t.Errorf("%s wants the block %s, which the page does not have", c.name, name)
			}
			page[name] += "used"
		}
		if used == 0 {
			t.Errorf("%s uses no block of the page", c.name)
		}
	}
	for name, body := range page {
		if !strings.HasSuffix(body, "used") {
			t.Errorf("nothing is run with the block %s", name)
		}
	}
}
