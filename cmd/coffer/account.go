// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

func newAccount() *cobra.Command {
	return newGroup("account", "Make, list and delete accounts", newAccountCreate(), newAccountList(), newAccountSCP(), newAccountRekey(), newAccountDelete())
}

func newAccountCreate() *cobra.Command {
	var id string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an account with a root access key",
		Long: `Make an account: a tenant with buckets, KMS keys, users and policies of its own. The
access key of its root is printed this once; the secret is not kept in a form in
which it could be printed again.`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return createAccount(cmd.Context(), id, args[0], asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "twelve digits; without it, the server chooses them")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func createAccount(ctx context.Context, id, name string, asJSON bool, stdout io.Writer) error {
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	a, err := c.CreateAccount(ctx, id, name)
	if err != nil {
		return err
	}
	return printAccount(stdout, a, asJSON)
}

func newAccountRekey() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rekey ACCOUNT",
		Short: "Give the root of an account a new access key",
		Long: `Give the root of an account a new access key, in the place of those that it has, which
are refused from then on. It is for when they were lost, or became known.`,
		Args: arguments("ACCOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := remote(cmd.Context())
			if err != nil {
				return err
			}
			a, err := c.RenewRootKey(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return printAccount(cmd.OutOrStdout(), a, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printAccount(stdout io.Writer, a opsapi.NewAccount, asJSON bool) error {
	if asJSON {
		return printJSON(stdout, a)
	}
	_, err := fmt.Fprintf(stdout, `# account %s (%s)
export AWS_ACCESS_KEY_ID=%s
export AWS_SECRET_ACCESS_KEY=%s
`, a.ID, printable(a.Name), a.AccessKeyID, a.SecretAccessKey)
	return err
}

func newAccountList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the accounts",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listAccounts(cmd.Context(), asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func listAccounts(ctx context.Context, asJSON bool, stdout io.Writer) error {
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	all, err := c.Accounts(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(stdout, all)
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ACCOUNT\tNAME\tALIAS\tCREATED\tSERVICE CONTROL POLICIES")
	for _, a := range all {
		policies := strings.Join(a.Policies, ", ")
		switch {
		case a.Closing:
			policies = "its deletion was broken off: delete it again"
		case a.Operator:
			policies = "the server's own account"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", a.ID, printable(a.Name), a.Alias, a.Created.Format(time.DateOnly), printable(policies))
	}
	return t.Flush()
}

func newAccountDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ACCOUNT",
		Short: "Delete an account that owns no buckets and no KMS keys",
		Long: `Delete an account with its users, groups, roles, policies and access keys. It must own
no buckets and no KMS keys any more, and none that wait to be deleted.`,
		Args: arguments("ACCOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := remote(cmd.Context())
			if err != nil {
				return err
			}
			if err := c.DeleteAccount(cmd.Context(), args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "account %s is deleted\n", printable(args[0]))
			return err
		},
	}
}

func newAccountSCP() *cobra.Command {
	var none bool
	cmd := &cobra.Command{
		Use:   "scp ACCOUNT FILE...|--clear",
		Short: "Limit what anybody in an account may be allowed",
		Long: `Set the service control policies of an account, in the place of those that it has. With
any, its users, roles and its root may do only what one of these policies allows and
none denies, whatever their own policies say. So one of them usually allows
everything, and the others deny. --clear removes them.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || none != (len(args) == 1) {
				return errors.New("it takes an account, and files with policies or --clear: see \"coffer account scp --help\"")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return setControls(cmd.Context(), args[0], args[1:], cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&none, "clear", false, "remove the service control policies")
	return cmd
}

// maxControlFile bounds what is read of a file before the server judges it.
const maxControlFile = 64 << 10

func setControls(ctx context.Context, account string, files []string, stdout io.Writer) error {
	var controls []opsapi.Control
	for _, name := range files {
		text, err := readControl(name)
		if err != nil {
			return err
		}
		controls = append(controls, opsapi.Control{Name: strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), Document: string(text)})
	}
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	if err := c.SetControls(ctx, account, controls); err != nil {
		return err
	}
	line := fmt.Sprintf("account %s has %d service control policies", printable(account), len(controls))
	switch len(controls) {
	case 0:
		line = fmt.Sprintf("account %s has no service control policies", printable(account))
	case 1:
		line = fmt.Sprintf("account %s has 1 service control policy", printable(account))
	}
	_, err = fmt.Fprintln(stdout, line)
	return err
}

func readControl(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxControlFile+1))
	if err == nil && len(text) > maxControlFile {
		err = fmt.Errorf("%s is longer than %d bytes", name, maxControlFile)
	}
	return text, err
}
