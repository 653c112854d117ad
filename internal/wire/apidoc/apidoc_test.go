// SPDX-License-Identifier: Apache-2.0

package apidoc_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/wire/apidoc"
	"github.com/cofferstore/coffer/internal/wire/iamapi"
	"github.com/cofferstore/coffer/internal/wire/kmsapi"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/s3api"
	"github.com/cofferstore/coffer/internal/wire/trailapi"
)

var update = flag.Bool("update", false, "write docs/api-coverage.md")

const path = "../../../docs/api-coverage.md"

func TestDocument(t *testing.T) {
	families := append([]*pipeline.Family{(&s3api.API{}).Family(), (&s3api.API{}).Control(), (&kmsapi.API{}).Family(), (&trailapi.API{}).Family()}, (&iamapi.API{}).Families()...)
	titles := map[string]string{"s3": "Amazon S3", "s3control": "Amazon S3 Control", "kms": "AWS KMS", "cloudtrail": "AWS CloudTrail", "iam": "AWS IAM", "sts": "AWS STS"}
	var apis []apidoc.API
	for _, f := range families {
		api := apidoc.API{Title: titles[f.Name], Ops: f.Ops}
		if f.Name == "s3" {
			for _, e := range s3api.Elsewhere {
				api.Elsewhere = append(api.Elsewhere, [3]string{e.Name, e.Request, e.Why})
			}
		}
		apis = append(apis, api)
	}
	want := apidoc.Render(apis...)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/api-coverage.md is not what the tables say: run go test ./internal/wire/apidoc -update")
	}
}

func TestRender(t *testing.T) {
	got := string(apidoc.Render(apidoc.API{
		Title: "Vault",
		Ops: []pipeline.Op{
			{Name: "PutCoin", Route: pipeline.Route{Method: "PUT", Path: "/{box}", Query: []string{"coin", "n=1"}}, Traits: pipeline.Data},
			{Name: "GetCoins", Route: pipeline.Route{Method: "GET", Path: "/", Header: "X-Box"}, Traits: pipeline.Read, EventName: "GetCoin"},
			pipeline.Answered(pipeline.Op{Name: "SellCoin", Route: pipeline.Route{Method: "POST", Path: "/{box}"}}, "405: no market"),
			{Name: "BuyGold", Route: pipeline.Route{Method: "POST", Path: "/"}, Refused: true},
		},
		Elsewhere: [][3]string{{"MintCoin", "POST /mint", "There is no mint"}},
	}))
	want := `
## Vault

Served: 2 operations.

| Operation | Request | Access | Audit event |
|---|---|---|---|
| GetCoins | ` + "`GET /, X-Box`" + ` | read | management, as GetCoin |
| PutCoin | ` + "`PUT /{box}?coin&n=1`" + ` | write | data |

Answered as the service answers where the thing cannot be had: 1 operations.

| Operation | Request | Answer, and why |
|---|---|---|
| SellCoin | ` + "`POST /{box}`" + ` | 405: no market |

Of other endpoints: 1 operations.

| Operation | Request | Why |
|---|---|---|
| MintCoin | ` + "`POST /mint`" + ` | There is no mint |

Refused, not yet served: 1 operations.

| Operation | Request |
|---|---|
| BuyGold | ` + "`POST /`" + ` |
`
	if !strings.HasSuffix(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
