// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/cofferstore/coffer/internal/config"
)

func newConfig() *cobra.Command {
	return newGroup("config", "Show the configuration", newConfigShow())
}

func newConfigShow() *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the settings that `coffer serve` would use here, as YAML",
		Long: `Print the settings that "coffer serve" would use with the same flags, environment
and file, as YAML that can serve as its file. Secrets are left out.`,
		Args: noArguments,
	}
	config.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config.Load(cmd.Flags())
		if err != nil {
			return err
		}
		return cfg.Show(cmd.OutOrStdout(), origin)
	}
	return cmd
}
