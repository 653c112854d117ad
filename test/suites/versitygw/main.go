// SPDX-License-Identifier: Apache-2.0

// Command versitygw is the suite of the integration tests of Versity's S3 gateway,
// which are importable. They make users by the gateway's own administration; here a
// proxy in front of Coffer makes accounts of them (see shim.go), and passes on
// everything else as it is.
//
// Without arguments it runs all tests; arguments are the names of some, or s3 for
// those of S3 or iam for those of IAM and STS. Tests of the
// gateway's own back ends are not run.
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/versity/versitygw/tests/integration"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "admin" {
		os.Exit(admin(os.Args[2:]))
	}
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "versitygw:", err)
		stop()
		os.Exit(1)
	}
}

// workers is how many tests run at a time. Some wait for seconds to pass.
const workers = 8

func run(ctx context.Context, names []string) error {
	s, err := newShim(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	// The tests run ./versitygw for administration.
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Symlink(self, "versitygw"); err != nil {
		return err
	}
	iam := integration.WithIAMEndpoint(os.Getenv("AWS_ENDPOINT_URL"))
	conf := integration.NewS3Conf(integration.WithAccess(s.root.id), integration.WithSecret(s.root.secret),
		integration.WithRegion(os.Getenv("AWS_REGION")), integration.WithEndpoint(s.url), iam, integration.WithVersioningEnabled())

	out := newOutput()
	all := integration.GetIntTests()
	switch {
	case len(names) == 0:
		names = slices.Sorted(maps.Keys(all))
	case names[0] == "s3" || names[0] == "iam":
		of := names[0]
		names = slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(name string) bool { return isIAM(name) != (of == "iam") })
	}
	var alone, together []string
	for _, name := range names {
		switch why := notRun(name); {
		case all[name] == nil:
			return fmt.Errorf("there is no test %q", name)
		case why != "":
			out.say("skip %s: %s", name, why)
		case slices.ContainsFunc(aloneTests, func(prefix string) bool { return strings.HasPrefix(name, prefix) }):
			alone = append(alone, name)
		default:
			together = append(together, name)
		}
	}
	for _, name := range alone {
		out.test(name, func() error { return all[name](conf) })
	}
	queue := make(chan string)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for name := range queue {
				out.test(name, func() error { return all[name](conf) })
			}
		})
	}
	for _, name := range together {
		queue <- name
	}
	close(queue)
	running.Wait()
	return ctx.Err()
}

// output is standard output, with what the tests print there led to standard error.
type output struct {
	mu      sync.Mutex
	stdout  *os.File
	skipped chan string
}

func newOutput() *output {
	o := &output{stdout: os.Stdout}
	os.Stdout = os.Stderr
	return o
}

func (o *output) say(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	io.WriteString(o.stdout, oneLine(fmt.Sprintf(format, args...))+"\n")
}

var space = regexp.MustCompile(`\s+`)

func oneLine(s string) string { return strings.TrimSpace(space.ReplaceAllString(s, " ")) }

// test runs a test and says how it ended.
func (o *output) test(name string, f func() error) {
	defer func() {
		if p := recover(); p != nil {
			o.say("FAIL %s: panics: %v", name, p)
		}
	}()
	err := f()
	if err != nil {
		why := strings.TrimPrefix(err.Error(), name+": ")
		o.say("FAIL %s: %s", name, why)
		return
	}
	o.say("ok %s", name)
}

// aloneTests count what the whole account has, or need much memory. They come first,
// before failures leave buckets behind.
var aloneTests = []string{"ListBuckets_", "GetObject_large_object", "IAM_ListBuckets"}

// isIAM is whether a test is about the APIs of IAM and STS. IAM_ is how tests of the
// gateway's own users begin.
func isIAM(name string) bool {
	return strings.HasPrefix(name, "IAM") && !strings.HasPrefix(name, "IAM_")
}

// notRun says why a test is not run.
func notRun(name string) string {
	for _, n := range notRunTests {
		for _, pattern := range n.names {
			if ok, err := filepath.Match(pattern, name); err == nil && ok {
				return n.why
			}
		}
	}
	return ""
}

var notRunTests = []struct {
	why   string
	names []string
}{
	{"needs a token of GitHub's identity provider", []string{"S3IAMSession_*"}},
	{"is for a gateway that lacks the operation", []string{"*_not_implemented"}},
	{"is for a gateway that has been told to have no lists of grants", []string{"NoAclMode_*"}},
	{"is for a gateway that has been told to make ETags of CRC64NVME", []string{"*_data_integrity_etag", "*_racey_data_integrity"}},
	{"is for a gateway whose objects are files in directories", []string{"*_overwrite_same_dir_object", "*_overwrite_same_file_object", "*_overwrite_dir_obj", "*_overwrite_file_obj", "*_overwrite_file_obj_with_nested_obj", "*_dir_obj_with_data", "CreateMultipartUpload_dir_obj", "*_name_too_long", "*_dir_with_range", "*_directory_success"}},
	{"is for a gateway that has no lists of grants of objects", []string{"*_object_acl_not_supported"}},
	{"is for a gateway whose administrator makes buckets for others and gives them away", []string{"IAM_CreateBucket_*", "IAM_*ChangeBucketOwner*", "AccessControl_bucket_ownership_to_user", "IAM_ListBuckets", "IAM_userplus_CreateBucket", "CreateBucket_as_user", "CreateBucket_existing_bucket", "ListBuckets_as_admin", "ListBuckets_as_user", "AccessControl_copy_object_with_starting_slash_for_user", "AccessControl_root_PutBucketAcl", "CopyObject_not_owned_source_bucket", "PutBucketAcl_invalid_owner"}},
	{"needs a name server that knows the buckets' websites", []string{"WebsiteHosting_*"}},
	{"is for a gateway without versioning", []string{"VersioningDisabled_*", "ListObjectVersions_VD_*"}},
}
