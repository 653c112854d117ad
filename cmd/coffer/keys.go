// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newKeys() *cobra.Command {
	return newGroup("keys", "Look after bucket keys", newKeysFlush())
}

func newKeysFlush() *cobra.Command {
	var bucket, key string
	cmd := &cobra.Command{
		Use:   "flush",
		Short: "Drop bucket keys from the server's memory",
		Long: `Drop bucket keys from the server's memory: all of them, those of a bucket, those
under a KMS key, or those of both. The next request that needs one asks KMS again.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flushKeys(cmd.Context(), bucket, key, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&bucket, "bucket", "", "only those of this bucket")
	cmd.Flags().StringVar(&key, "key", "", "only those under the KMS key with this ARN")
	return cmd
}

func flushKeys(ctx context.Context, bucket, key string, stdout io.Writer) error {
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	n, err := c.FlushKeys(ctx, bucket, key)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%d bucket keys flushed\n", n)
	return err
}
