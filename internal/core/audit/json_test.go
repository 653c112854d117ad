// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// richRecord has every member, and text that must be escaped.
func richRecord(text string) Record {
	return Record{
		EventVersion: eventVersion, EventTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		UserIdentity: Identity{Type: "Root", PrincipalID: text, ARN: "arn", AccountID: "1", AccessKeyID: "AKIA", UserName: "u", InvokedBy: "i", Session: &SessionContext{
			Issuer: &Issuer{"Role", text, text, "1", "r"}, WebIdentity: &WebIdentity{text}, Attributes: SessionAttributes{"d", "false"}, SourceIdentity: text,
		}},
		EventSource: "s3", EventName: text, AWSRegion: "us-east-1", SourceIPAddress: "::1", UserAgent: "<a&b>", ErrorCode: "E", ErrorMessage: text,
		RequestParameters: map[string]any{
			text: text, "a": nil, "b": true, "c": 1, "d": int64(math.MinInt64), "e": map[string]any{"x": []any{"y", 2, nil}},
			"f": []string{"<", text}, "g": map[string]string{"k": text}, "h": 1.5, "i": uint64(math.MaxUint64), "j": []any(nil), "k": map[string]any(nil), "l": []any{},
			"m": json.Number("7"), "n": Resource{Type: text},
		},
		ResponseElements: map[string]any{}, AdditionalEventData: map[string]any{"n": int64(3)},
		RequestID: "r", EventID: "e", ReadOnly: true, Resources: []Resource{{AccountID: "1", Type: "t", ARN: text}, {}},
		EventType: TypeAPICall, ManagementEvent: true, RecipientAccountID: "1", SharedEventID: text, EventCategory: Data,
		ServiceEventDetails: json.RawMessage(` { "a" : 1 } `), TLSDetails: &TLSDetails{TLSVersion: "TLSv1.3", CipherSuite: "c", ClientProvidedHostHeader: text},
	}
}

// sameAsMarshal fails unless the record is written as encoding/json writes it.
func sameAsMarshal(t *testing.T, r Record) {
	t.Helper()
	want, wantErr := marshal(&r)
	got, err := r.line()
	if (err == nil) != (wantErr == nil) || err == nil && string(got) != string(want) {
		t.Errorf("got  %s %v\nwant %s %v", got, err, want, wantErr)
	}
}

func TestRecordsAreWrittenAsJSON(t *testing.T) {
	sameAsMarshal(t, Record{})
	sameAsMarshal(t, putObject("A"))
	sameAsMarshal(t, Record{UserIdentity: Identity{Session: &SessionContext{Issuer: &Issuer{}}}})
	all := "\x7f\u2028\u2029\ufffd\xff\xc3(é😀\\\"<>&/"
	for c := range 0x20 {
		all += string(rune(c))
	}
	sameAsMarshal(t, richRecord(all))
	sameAsMarshal(t, Record{RequestParameters: map[string]any{"a": math.Inf(1)}}) // neither can
	sameAsMarshal(t, Record{RequestParameters: map[string]any{"a": map[string]any{"b": func() {}}}})
}

// Facts are written as the members of maps are.
func TestFactsAreWrittenAsMembers(t *testing.T) {
	few := func(n int) (f Facts) {
		for i := range n {
			name := fmt.Sprint(i * 7919 % 100) // some more than once
			switch i % 4 {
			case 0:
				f.Text(name, "text \"<&")
			case 1:
				f.Add(name, "text")
			case 2:
				f.Add(name, i)
			case 3:
				f.Add(name, []any{nil, true, map[string]any{"a": int64(i)}})
			}
		}
		f.Add("none", nil)
		return f
	}
	for _, n := range []int{0, 1, 5, 12, maxOrdered - 1, maxOrdered, 3 * maxOrdered} {
		r := putObject("A")
		r.Parameters, r.Elements, r.Facts = few(n), few(n)[:n/2], few(n)
		for range 2 {
			plain := r.Plain()
			if len(plain.Parameters)+len(plain.Elements)+len(plain.Facts) > 0 {
				t.Fatal("facts are left")
			}
			sameAsMarshal(t, plain)
			want, err := plain.line()
			got, gotErr := r.line()
			if err != nil || gotErr != nil || string(got) != string(want) {
				t.Errorf("%d facts: %s %v\nwant %s %v", n, got, gotErr, want, err)
			}
			r.RequestParameters, r.AdditionalEventData = map[string]any{"0": "of the map", "map": 1}, map[string]any{"map": 2}
		}
	}
	r := putObject("A")
	r.Facts = few(3)
	r.Facts.Add("aaa", strings.Repeat("x", maxAdditional+1))
	line, err := encode(&r)
	if err != nil || !strings.Contains(string(line), "additionalEventData too large") {
		t.Errorf("facts that are too large: %s %v", line, err)
	}
}

func TestNobodysPrincipalIdIsEmpty(t *testing.T) {
	r := Record{UserIdentity: Identity{Type: "AWSAccount", AccountID: AnonymousAccount}}
	line, err := r.line()
	if want := `"userIdentity":{"type":"AWSAccount","principalId":"","accountId":"anonymous"}`; err != nil || !strings.Contains(string(line), want) {
		t.Errorf("%s %v, want %s", line, err, want)
	}
}

func FuzzRecordsAreWrittenAsJSON(f *testing.F) {
	f.Add("plain", int64(1))
	f.Add("\"\\\x00\u2028\xff", int64(-1))
	f.Fuzz(func(t *testing.T, text string, n int64) {
		r := richRecord(text)
		r.RequestParameters[fmt.Sprint(n)] = n
		sameAsMarshal(t, r)
	})
}

func BenchmarkLine(b *testing.B) {
	r := putObject("3XQ7EXAMPLE0001A")
	r.EventID, r.UserAgent = "5d6a0a3e-3e0e-4f1c-8e0c-1a2b3c4d5e6f", "[aws-cli/2.30 md/Botocore]"
	for name, value := range map[string]any{
		"bucketName": "example-bucket", "Host": "example-bucket.s3.us-east-1.amazonaws.com", "key": "reports/2026/03.csv",
		"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
	} {
		r.Parameters.Add(name, value)
	}
	for name, value := range map[string]any{
		"SignatureVersion": "SigV4", "AuthenticationMethod": "AuthHeader", "bytesTransferredIn": int64(4096), "bytesTransferredOut": int64(0),
		"SSEApplied": "SSE_KMS", "x-amz-id-2": "k0fv2exampleId2==", "cofferBucketKey": true, "cofferGeneration": "0190f3a1-6c1b-7c5e-9c0a-3b0a3a1c6d11",
		"cofferKeyArn": "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "cofferKmsEventId": "5d6a0a3e-3e0e-4f1c-8e0c-1a2b3c4d5e6f",
	} {
		r.Facts.Add(name, value)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.line(); err != nil {
			b.Fatal(err)
		}
	}
}
