// SPDX-License-Identifier: Apache-2.0

package server

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/cofferstore/coffer/internal/config"
)

func TestTheRegionOfTheFirstStartStays(t *testing.T) {
	dir := t.TempDir()
	start := func(region string) error {
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		config.AddFlags(flags)
		if err := flags.Parse([]string{"--data", dir, "--region", region}); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.LoadWith(flags)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler), Tuning{})
		if err != nil {
			return err
		}
		return s.Close()
	}
	for range 2 {
		if err := start("eu-west-1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := start("us-east-1"); err == nil || !strings.Contains(err.Error(), "--region eu-west-1") {
		t.Errorf("another region: %v", err)
	}
}
