// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"encoding/json"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/fault"
)

// Directories of files, and what the AWS CLI prints into them.
const (
	KeyPolicies    = "key-policies"    // aws kms get-key-policy, a file for each key, named by its id
	BucketPolicies = "bucket-policies" // aws s3api get-bucket-policy, a file for each bucket, named by it
	IAM            = "iam"             // aws iam get-account-authorization-details, in as many files as it has pages
	Grants         = "grants"          // aws kms list-grants
	Controls       = "scps"            // aws organizations describe-policy, a file for each
	Trails         = "trails"          // aws cloudtrail get-event-selectors, a file for each
)

// Directories are those that files are read from.
var Directories = []string{KeyPolicies, BucketPolicies, IAM, Grants, Controls, Trails}

// Files puts an input together from files. The zero value is empty.
type Files struct {
	documents []Document
	grants    []Grant
	trails    []Consumer
	attached  map[string][]Attachment
	groups    map[string]string   // account and name of a group → its ARN
	users     map[string][]string // account and name of a group → ARNs of its users
}

// Input returns what was read.
func (f *Files) Input(bucket, key string) *Input {
	in := &Input{Bucket: bucket, Key: key, Documents: f.documents, Grants: f.grants, Attached: f.attached, Members: map[string][]string{}, Trails: f.trails}
	for group, arn := range f.groups {
		in.Members[arn] = f.users[group]
	}
	return in
}

// Add reads a file of a directory. Policies may also stand in their files as they are,
// without what the AWS CLI prints around them. Fault: Malformed, with the file's name
// and the line.
func (f *Files) Add(dir, name, text string) error {
	if len(text) > MaxFile {
		return fault.New(Malformed, "%s: it is larger than %d MiB", path.Join(dir, name), MaxFile>>20)
	}
	text = strings.TrimPrefix(text, "\ufeff") // which some editors put there
	r := &reader{in: f, file: path.Join(dir, name), text: text}
	root, err := parseTree(text)
	if err != nil {
		return fault.New(Malformed, "%s: %v", r.file, err)
	}
	if root.kind != '{' {
		return r.malformed(root, "it is no JSON object")
	}
	id := strings.TrimSuffix(name, ".json")
	switch dir {
	case KeyPolicies:
		return r.keyPolicy(root, id)
	case BucketPolicies:
		return r.policy(root, root.get("Policy"), Document{Kind: BucketPolicy, Name: id})
	case Controls:
		content, label := root.get("Policy").get("Content"), root.get("Policy").get("PolicySummary").get("Name")
		d := Document{Kind: ServiceControl, Name: id, Concerns: []string{"every principal of the accounts that it is attached to"}}
		if label != nil {
			d.Name = label.text
		}
		return r.policy(root, content, d)
	case Grants:
		return r.grants(root)
	case IAM:
		return r.account(root, id)
	case Trails:
		return r.trail(root)
	}
	return r.malformed(root, "no files are read from this directory")
}

// keyID is what the id of a KMS key looks like.
var keyID = regexp.MustCompile(`^(mrk-[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`)

type reader struct {
	in   *Files
	file string
	text string
}

func (r *reader) malformed(n *node, text string, args ...any) error {
	args = append([]any{r.file, lineOf(r.text, n.start)}, args...)
	return fault.New(Malformed, "%s: line %d: "+text, args...)
}

// policy adds a document that stands in a file, as an object or as a text within what
// is printed around it, or is the file.
func (r *reader) policy(root, wrapped *node, d Document) error {
	n := root
	if wrapped != nil {
		n = wrapped
	}
	text, err := r.document(n)
	if err != nil {
		return err
	}
	d.Text = text
	if _, err := parseDocument(&d); err != nil {
		if n.kind == '{' { // its lines are those of the file
			return r.inFile(n, &d)
		}
		f, _ := fault.As(err)
		return fault.New(Malformed, "%s: line %d: in the text of the policy: %s", r.file, lineOf(r.text, n.start), f.Message)
	}
	r.in.documents = append(r.in.documents, d)
	return nil
}

// inFile says of a document that is an object in a file what is wrong where.
func (r *reader) inFile(n *node, d *Document) error {
	padded := *d
	padded.Text = strings.Repeat("\n", lineOf(r.text, n.start)-1) + d.Text
	_, err := parseDocument(&padded)
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	text := strings.TrimPrefix(f.Message, string(d.Kind)+" "+d.Name+": ")
	if !strings.HasPrefix(text, "line ") {
		return r.malformed(n, "%s", text)
	}
	return fault.New(Malformed, "%s: %s", r.file, text)
}

// document returns the text of a policy: an object's own, or that within a text, which
// the API of IAM encodes as URLs are.
func (r *reader) document(n *node) (string, error) {
	switch n.kind {
	case '{':
		return r.text[n.start:n.end], nil
	case '"':
		text := n.text
		if strings.HasPrefix(text, "%") {
			plain, err := url.PathUnescape(text)
			if err != nil {
				return "", r.malformed(n, "the policy is not URL-encoded as it should be")
			}
			text = plain
		}
		return text, nil
	}
	return "", r.malformed(n, "here should be a policy")
}

func (r *reader) keyPolicy(root *node, id string) error {
	d := Document{Kind: KeyPolicy, Name: id}
	if keyID.MatchString(id) {
		d.Resource = id // of any other file name nothing can be told
	}
	if key := root.get("KeyId"); key != nil {
		d.Name, d.Resource = key.text, key.text
	}
	return r.policy(root, root.get("Policy"), d)
}

func (r *reader) grants(root *node) error {
	list := root.get("Grants")
	if list == nil || list.kind != '[' {
		return r.malformed(root, "it has no list Grants, as aws kms list-grants prints it")
	}
	for _, n := range list.values {
		var g Grant
		if err := json.Unmarshal([]byte(r.text[n.start:n.end]), &g); err != nil {
			return r.malformed(n, "this is no grant")
		}
		if g.GranteePrincipal == "" || len(g.Operations) == 0 {
			return r.malformed(n, "a grant without GranteePrincipal or Operations")
		}
		r.in.grants = append(r.in.grants, g)
	}
	return nil
}

// account reads what aws iam get-account-authorization-details prints, or one policy: what
// get-policy-version, get-user-policy, get-role-policy and get-group-policy print, or
// itself.
func (r *reader) account(root *node, id string) error {
	if document := root.get("PolicyVersion").get("Document"); document != nil {
		return r.policy(root, document, Document{Kind: Managed, Name: id, Concerns: unknown})
	}
	if document := root.get("PolicyDocument"); document != nil {
		d := Document{Kind: Inline, Name: id, Concerns: unknown}
		for _, kind := range []string{"User", "Role", "Group"} {
			if name := root.get(kind + "Name"); name != nil {
				d.Concerns = []string{strings.ToLower(kind) + " " + name.text}
				d.Name = d.Concerns[0] + ", inline policy " + id
			}
		}
		return r.policy(root, document, d)
	}
	if root.get("Statement") != nil {
		return r.policy(root, nil, Document{Kind: Managed, Name: id, Concerns: unknown})
	}
	known := false
	for _, list := range []string{"UserDetailList", "GroupDetailList", "RoleDetailList"} {
		entities := root.get(list)
		if entities == nil {
			continue
		}
		known = true
		for _, n := range entities.values {
			if err := r.entity(n, strings.TrimSuffix(list, "DetailList")); err != nil {
				return err
			}
		}
	}
	if policies := root.get("Policies"); policies != nil {
		known = true
		for _, n := range policies.values {
			if err := r.managed(n); err != nil {
				return err
			}
		}
	}
	if !known {
		return r.malformed(root, "it is not what aws iam get-account-authorization-details prints")
	}
	return nil
}

// unknown is whom a policy concerns that is alone in its file.
var unknown = []string{"whoever it is attached to"}

// entity reads a user, a group or a role.
func (r *reader) entity(n *node, kind string) error {
	arn, name := n.get("Arn"), n.get(kind+"Name")
	if arn == nil || name == nil {
		return r.malformed(n, "here should be a %s with %sName and Arn", strings.ToLower(kind), kind)
	}
	if inline := n.get(kind + "PolicyList"); inline != nil {
		for _, p := range inline.values {
			label, document := p.get("PolicyName"), p.get("PolicyDocument")
			if label == nil || document == nil {
				return r.malformed(p, "here should be an inline policy with PolicyName and PolicyDocument")
			}
			d := Document{Kind: Inline, Name: strings.ToLower(kind) + " " + name.text + ", inline policy " + label.text, Concerns: []string{arn.text}}
			if err := r.policy(p, document, d); err != nil {
				return err
			}
		}
	}
	id, _ := aws.ParseARN(arn.text)
	for _, g := range n.get("GroupList").strings() {
		put(&r.in.users, id.Account+" "+g, append(r.in.users[id.Account+" "+g], arn.text))
	}
	if kind == "Group" {
		put(&r.in.groups, id.Account+" "+name.text, arn.text)
	}
	if attached := n.get("AttachedManagedPolicies"); attached != nil {
		for _, p := range attached.values {
			if policy := p.get("PolicyArn"); policy != nil {
				r.attach(policy.text, Attachment{arn.text, false})
			}
		}
	}
	if boundary := n.get("PermissionsBoundary").get("PermissionsBoundaryArn"); boundary != nil {
		r.attach(boundary.text, Attachment{arn.text, true})
	}
	return nil
}

// trail reads the selectors of a trail.
func (r *reader) trail(root *node) error {
	var text selectorsText
	if err := json.Unmarshal([]byte(r.text), &text); err != nil {
		return r.malformed(root, "here should be what aws cloudtrail get-event-selectors prints")
	}
	c, err := text.trailOf()
	if f, ok := fault.As(err); ok {
		return r.malformed(root, "%s", f.Message)
	}
	r.in.trails = append(r.in.trails, c)
	return nil
}

// managed reads the default version of a managed policy.
func (r *reader) managed(n *node) error {
	arn, versions := n.get("Arn"), n.get("PolicyVersionList")
	if arn == nil || versions == nil || versions.kind != '[' {
		return r.malformed(n, "here should be a managed policy with Arn and PolicyVersionList")
	}
	i := slices.IndexFunc(versions.values, func(v *node) bool {
		is := v.get("IsDefaultVersion")
		return is != nil && is.text == "true"
	})
	if i < 0 {
		return r.malformed(n, "the managed policy has no default version")
	}
	document := versions.values[i].get("Document")
	if document == nil {
		return r.malformed(versions.values[i], "the version has no Document")
	}
	return r.policy(n, document, Document{Kind: Managed, Name: arn.text})
}

func (r *reader) attach(policy string, to Attachment) {
	put(&r.in.attached, policy, append(r.in.attached[policy], to))
}

// put writes into a map that may be there or not.
func put[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = value
}
