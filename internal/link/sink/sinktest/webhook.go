// SPDX-License-Identifier: Apache-2.0

package sinktest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Webhook is a server that takes records as a webhook sends them. It ends with the test.
type Webhook struct {
	*httptest.Server
	Inbox Inbox

	mu     sync.Mutex
	down   bool
	answer func(http.ResponseWriter, *http.Request, []byte) bool
}

// NewWebhook starts a server, with a certificate of its own or without TLS.
func NewWebhook(t testing.TB, withTLS bool) *Webhook {
	w := &Webhook{}
	w.Server = httptest.NewUnstartedServer(w)
	w.Config.ErrorLog = log.New(io.Discard, "", 0)
	if withTLS {
		w.StartTLS()
	} else {
		w.Start()
	}
	t.Cleanup(w.Close)
	return w
}

// Down makes the server take nothing, or take records again.
func (w *Webhook) Down(down bool) {
	w.mu.Lock()
	w.down = down
	w.mu.Unlock()
	if down {
		w.CloseClientConnections()
	}
}

// Answer sets what requests are answered with: it gets the body as it was sent, and
// returns whether the records are to be taken.
func (w *Webhook) Answer(answer func(http.ResponseWriter, *http.Request, []byte) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

// ServeHTTP takes records.
func (w *Webhook) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	down, answer := w.down, w.answer
	w.mu.Unlock()
	if down {
		panic(http.ErrAbortHandler)
	}
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if answer != nil && !answer(to, r, sent) {
		return
	}
	body := sent
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(bytes.NewReader(sent))
		if err == nil {
			body, err = io.ReadAll(unzip)
		}
		if err != nil {
			http.Error(to, err.Error(), http.StatusBadRequest)
			return
		}
	}
	var d struct{ Records []json.RawMessage }
	if err := json.Unmarshal(body, &d); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		http.Error(to, "not records", http.StatusBadRequest)
		return
	}
	for _, record := range d.Records {
		w.Inbox.Put(string(record))
	}
}
