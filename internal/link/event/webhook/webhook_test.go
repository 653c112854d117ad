// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/link/event/eventtest"
	"github.com/cofferstore/coffer/internal/link/sink/webhook"
	"github.com/cofferstore/coffer/internal/secret"
)

func TestTarget(t *testing.T) {
	eventtest.Run(t, func(t *testing.T) eventtest.Harness {
		var mu sync.Mutex
		var came []string
		down := false
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case down || err != nil:
				panic(http.ErrAbortHandler)
			case r.Header.Get("Authorization") != "Bearer "+eventtest.Secret:
				w.WriteHeader(http.StatusForbidden)
			case !slices.Contains(came, string(body)):
				came = append(came, string(body))
			}
		}))
		t.Cleanup(server.Close)
		target, err := New(webhook.Config{
			Name: "hook", URL: server.URL + "/in", Header: "Authorization", Value: "Bearer " + webhook.Placeholder,
			Token: secret.New([]byte(eventtest.Secret)),
		})
		if err != nil {
			t.Fatal(err)
		}
		return eventtest.Harness{
			Target: target,
			Came:   func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(came) },
			Down:   func(d bool) { mu.Lock(); defer mu.Unlock(); down = d },
		}
	})
}
