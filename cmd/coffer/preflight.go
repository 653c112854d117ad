// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/preflight"
	"github.com/cofferstore/coffer/internal/fault"
)

// ended is an error that decides the exit code. Its text is printed if it has one.
type ended struct {
	code int
	err  error // nil: all is said
}

func (e ended) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e ended) Unwrap() error { return e.err }

func newBucketKeyPreflight() *cobra.Command {
	var key, dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "preflight BUCKET",
		Short: "Find policies that Bucket Keys would break",
		Long: `Find every key policy, grant, IAM policy and bucket policy that would mean something
else once BUCKET has Bucket Keys: those whose condition on the encryption context
names objects, since with a Bucket Key the context is the bucket's ARN. It prints
each statement, whom it concerns, why, and the edited JSON; and it warns of those
who may use kms:GenerateDataKey without kms:Decrypt.

It asks a server, or with --policy-dir reads files and needs none, so that it serves
for AWS accounts too:

  key-policies/KEYID.json    aws kms get-key-policy --key-id KEYID
  grants/KEYID.json          aws kms list-grants --key-id KEYID
  iam/details.json           aws iam get-account-authorization-details
  bucket-policies/NAME.json  aws s3api get-bucket-policy --bucket NAME
  scps/NAME.json             aws organizations describe-policy --policy-id ID
  trails/NAME.json           aws cloudtrail get-event-selectors --trail-name NAME

A policy alone in its file is well too. The exit code is 0 when nothing would break,
1 when something would, and 2 when the question could not be answered.`,
		Args: func(cmd *cobra.Command, args []string) error { return unanswered(arguments("BUCKET")(cmd, args)) },
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := askPreflight(cmd.Context(), args[0], key, dir)
			if err != nil {
				return unanswered(err)
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), r)
			} else {
				err = printPreflight(cmd.OutOrStdout(), r)
			}
			if err == nil && r.Breaks {
				return ended{code: 1}
			}
			return unanswered(err)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "ARN of a KMS key: only what concerns it (default: every key)")
	cmd.Flags().StringVar(&dir, "policy-dir", "", "directory of files to read in place of a server's policies")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return ended{2, fmt.Errorf("%w: see \"%s --help\"", plainFlag(err), cmd.CommandPath())}
	})
	return cmd
}

// unanswered makes the exit code 2.
func unanswered(err error) error {
	if err == nil {
		return nil
	}
	return ended{2, err}
}

func askPreflight(ctx context.Context, bucket, key, dir string) (*preflight.Report, error) {
	if !aws.ValidBucketName(bucket) {
		return nil, fmt.Errorf("%q is no name of a bucket", bucket)
	}
	if arn, ok := aws.ParseARN(key); key != "" && (!ok || arn.Service != "kms" || !strings.HasPrefix(arn.Resource, "key/")) {
		return nil, fmt.Errorf("--key: %q is no ARN of a KMS key", key)
	}
	if dir != "" {
		in, err := readPolicies(dir, bucket, key)
		if err != nil {
			return nil, err
		}
		return preflight.Run(ctx, in)
	}
	c, err := remote(ctx)
	if err != nil {
		return nil, err
	}
	body, err := c.Preflight(ctx, bucket, key)
	if err != nil {
		return nil, err
	}
	r := new(preflight.Report)
	if err := json.Unmarshal(body, r); err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	return r, nil
}

// readPolicies reads the files of a directory.
func readPolicies(dir, bucket, key string) (*preflight.Input, error) {
	var files preflight.Files
	read := 0
	for _, sub := range preflight.Directories {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if entry.IsDir() || filepath.Ext(entry.Name()) != ".json" {
				continue
			}
			text, err := readBounded(filepath.Join(dir, sub, entry.Name()))
			if err != nil {
				return nil, err
			}
			if err := files.Add(sub, entry.Name(), text); err != nil {
				if f, ok := fault.As(err); ok {
					return nil, errors.New(printable(f.Message))
				}
				return nil, err
			}
			read++
		}
	}
	if read == 0 {
		return nil, fmt.Errorf("there are no .json files in %s under %s", strings.Join(preflight.Directories, ", "), dir)
	}
	return files.Input(bucket, key), nil
}

func readBounded(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, preflight.MaxFile+1))
	return string(b), err
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printPreflight(w io.Writer, r *preflight.Report) error {
	var b bytes.Buffer
	breaks, covered, idle := 0, 0, 0
	for i := range r.Findings {
		f := &r.Findings[i]
		switch {
		case f.Breaks():
			breaks++
		case f.Covered:
			covered++
		default:
			idle++
		}
		printFinding(&b, f)
	}
	for i := range r.Warnings {
		printWarning(&b, &r.Warnings[i])
	}
	fmt.Fprintf(&b, "Looked through %s with %s, and %s.\n",
		count(r.Looked.Documents, "policy", "policies"), count(r.Looked.Statements, "statement", "statements"), count(r.Looked.Grants, "grant", "grants"))
	if covered > 0 {
		fmt.Fprintf(&b, "%d of them would match no more, and other statements or grants do.\n", covered)
	}
	if idle > 0 {
		fmt.Fprintf(&b, "%d of them without effect, now and later.\n", idle)
	}
	if breaks == 0 {
		fmt.Fprintf(&b, "Nothing would break when Bucket Keys are turned on for %s.\n", printable(r.Bucket))
	} else {
		fmt.Fprintf(&b, "%d would break when Bucket Keys are turned on for %s.\n", breaks, printable(r.Bucket))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func printWarning(b *bytes.Buffer, w *preflight.Warning) {
	fmt.Fprintf(b, "WARNING: %s %s", printable(w.Concerns), printable(w.Text))
	if w.Policy != "" {
		fmt.Fprintf(b, " (%s)", printable(w.Policy))
	}
	b.WriteString(".\n")
	for _, a := range w.Advice {
		fmt.Fprintf(b, "  advice:    %s\n", printable(a))
	}
	if len(w.Now) > 0 {
		printDocument(b, "now", w.Now)
	}
	if len(w.Edited) > 0 {
		label := "for aws cloudtrail put-event-selectors --cli-input-json (proven: it takes what it takes now, and all data events of the bucket)"
		if !w.Proven {
			label = "for aws cloudtrail put-event-selectors --cli-input-json (not proven: " + printable(w.Unproven) + ")"
		}
		printDocument(b, label, w.Edited)
	}
	b.WriteByte('\n')
}

// count says how many there are.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func printFinding(b *bytes.Buffer, f *preflight.Finding) {
	word := "BREAKS"
	switch {
	case f.Effect == preflight.NoEffect:
		word = "NO EFFECT"
	case f.Covered:
		word = "COVERED"
	case f.Weakens:
		word = "WEAKENS"
	}
	where := string(f.Kind) + ", " + f.Policy
	if f.Kind == preflight.GrantOf {
		where += " of " + f.Key
	} else {
		where += fmt.Sprintf(", statement %d", f.Index)
	}
	if f.Sid != "" {
		where += fmt.Sprintf(" (%s)", f.Sid)
	}
	fmt.Fprintf(b, "%s: %s\n", word, printable(where))
	if f.Effect != preflight.NoEffect {
		fmt.Fprintf(b, "  effect:    %s\n", f.Effect)
	}
	fmt.Fprintf(b, "  concerns:  %s\n", printable(strings.Join(f.Concerns, ", ")))
	fmt.Fprintf(b, "  why:       %s\n", printable(f.Why))
	for _, a := range f.Advice {
		fmt.Fprintf(b, "  advice:    %s\n", printable(a))
	}
	printDocument(b, "now", f.Statement)
	if len(f.Edited) > 0 {
		label := "edited"
		if f.Kind == preflight.GrantOf {
			label = "second grant"
		}
		switch {
		case f.Proven && f.Widens:
			label += " (proven: all that is allowed now stays allowed; it widens the KMS side)"
		case f.Proven:
			label += " (proven: all that is allowed now stays allowed)"
		default:
			label += " (not proven: " + printable(f.Unproven) + ")"
		}
		printDocument(b, label, f.Edited)
	}
	if len(f.Instead) > 0 {
		printDocument(b, "for the bucket's policy", f.Instead)
	}
	b.WriteByte('\n')
}

// printDocument prints JSON. It holds no control characters but those of its layout,
// since those in texts are escaped there.
func printDocument(b *bytes.Buffer, label string, text json.RawMessage) {
	var out bytes.Buffer
	if err := json.Indent(&out, text, "    ", "  "); err != nil {
		out.Reset()
		out.WriteString(printable(string(text)))
	}
	fmt.Fprintf(b, "  %s:\n    %s\n", label, out.Bytes())
}
