// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/cofferstore/coffer/internal/fips"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = ""

// build describes the program.
type build struct {
	Version      string `json:"version"`
	Go           string `json:"go"`
	Platform     string `json:"platform"`
	FIPSModule   string `json:"fipsModule"`
	FIPSEnabled  bool   `json:"fipsEnabled"`
	FIPSEnforced bool   `json:"fipsEnforced"`
	FIPSBuild    string `json:"fipsBuild"` // the GOFIPS140 setting of the build
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, FIPSBuild: "off"}
	b.FIPSModule, b.FIPSEnabled, b.FIPSEnforced = fips.State()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "GOFIPS140" {
			b.FIPSBuild = s.Value
		}
	}
	return b
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "Show the version and the state of the FIPS 140-3 module", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := thisBuild()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(b)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "coffer %s (%s, %s)\nFIPS 140-3: module %s, enabled %t, enforced %t, build setting %s\n",
				b.Version, b.Go, b.Platform, b.FIPSModule, b.FIPSEnabled, b.FIPSEnforced, b.FIPSBuild)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
