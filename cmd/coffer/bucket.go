// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newBucket() *cobra.Command {
	return newGroup("bucket", "Change what S3 has no operation for", newBucketLegacy())
}

func newBucketLegacy() *cobra.Command {
	return &cobra.Command{
		Use:   "legacy BUCKET on|off",
		Short: "Report new objects of a bucket as not encrypted, or not",
		Long: `Switch a bucket's legacy mode. While it is on, objects that are written without
naming an encryption are reported as not encrypted (NOT-SSE), as those of S3 from
before 2023 are. They are sealed on disk as under SSE-S3. A default encryption that
was put for the bucket applies all the same. Objects that are there already, and
uploads under way, do not change. It is for rehearsing what such objects meet.`,
		Args:      arguments("BUCKET", "on|off"),
		ValidArgs: []string{"on", "off"},
		RunE: func(cmd *cobra.Command, args []string) error {
			on, err := onOff(args[1])
			if err != nil {
				return err
			}
			return switchLegacy(cmd.Context(), args[0], on, cmd.OutOrStdout())
		},
	}
}

func switchLegacy(ctx context.Context, bucket string, on bool, stdout io.Writer) error {
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	mode, err := c.SwitchLegacyMode(ctx, bucket, on)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("legacy mode of %s is off", bucket)
	if mode.Legacy {
		line = fmt.Sprintf("legacy mode of %s is on", bucket)
	}
	if mode.Legacy && mode.DefaultEncryption != "" {
		line += fmt.Sprintf(", without effect while its default encryption is %s", printable(mode.DefaultEncryption))
	}
	_, err = fmt.Fprintln(stdout, line)
	return err
}

// onOff reads an argument that switches something.
func onOff(arg string) (bool, error) {
	if arg != "on" && arg != "off" {
		return false, fmt.Errorf("%q is neither on nor off", arg)
	}
	return arg == "on", nil
}
