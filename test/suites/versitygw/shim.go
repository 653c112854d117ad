// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/suites/resign"
)

// person is who the tests call a user: in AWS's terms the root of an account.
type person struct {
	id, secret string // as the tests know them
	key        aws.Credentials
	account    string // 12 digits
	canonical  string // canonical user id
}

// rootAccount is what the tests take the account of the root for; the server is told so.
const rootAccount = "000000000000"

func (p *person) arn() string { return "arn:aws:iam::" + p.account + ":root" }

// shim is a proxy in front of a server. To the tests a user is its access key, which
// is whatever they say: in policies, in lists of grants and as an owner, too. The shim
// puts what AWS would have in its place, and signs again what it has changed. Requests
// of the root that name nobody are passed on as they are, with the signature they have.
type shim struct {
	url      string
	upstream *url.URL
	proxy    *httputil.ReverseProxy
	server   *http.Server
	root     *person

	mu       sync.Mutex
	people   map[string]*person // by the tests' id
	policies map[string]string  // as sent on → as the tests put them
	locked   map[string]bool    // buckets with object lock
	version  string             // an id of Coffer's that no object of the tests has
}

func newShim(ctx context.Context) (*shim, error) {
	upstream, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil {
		return nil, err
	}
	s := &shim{upstream: upstream, people: map[string]*person{}, policies: map[string]string{}, locked: map[string]bool{}}
	s.root, err = s.person(ctx, os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"))
	if err != nil {
		return nil, err
	}
	s.root.account = rootAccount
	s.people[s.root.id] = s.root
	s.proxy = &httputil.ReverseProxy{
		Director:       func(r *http.Request) { r.URL.Scheme, r.URL.Host = upstream.Scheme, upstream.Host },
		ModifyResponse: s.answer,
		Transport:      &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	if s.version, err = s.foreignVersion(ctx); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.url = "http://" + l.Addr().String()
	s.server = &http.Server{Handler: s, MaxHeaderBytes: 1 << 20}
	go s.server.Serve(l)
	return s, nil
}

func (s *shim) close() { s.server.Close() }

// person asks the server who has an access key.
func (s *shim) person(ctx context.Context, id, secret, accessKey, secretKey string) (*person, error) {
	p := &person{id: id, secret: secret, key: aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}}
	list, err := s.client(p.key).ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		return nil, err
	}
	p.canonical = aws.ToString(list.Owner.ID)
	return p, nil
}

// foreignVersion makes a version and returns its id. Bucket and version are gone then.
func (s *shim) foreignVersion(ctx context.Context) (string, error) {
	client := s.client(s.root.key)
	bucket := aws.String("versitygw-shim")
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		return "", err
	}
	_, err := client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		return "", err
	}
	put, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: bucket})
	if err != nil {
		return "", err
	}
	if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: bucket, VersionId: put.VersionId}); err != nil {
		return "", err
	}
	_, err = client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: bucket})
	return aws.ToString(put.VersionId), err
}

func (s *shim) client(key aws.Credentials) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.upstream.String()), Region: os.Getenv("AWS_REGION"), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, ""),
	})
}

// newPerson makes an account for a user of the tests.
func (s *shim) newPerson(ctx context.Context, id, secret string) error {
	cmd := exec.CommandContext(ctx, os.Getenv("COFFER_BIN"), "account", "create", "--json", id)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("make an account: %w: %s", err, &stderr)
	}
	var made struct {
		ID, AccessKeyID, SecretAccessKey string
	}
	if err := json.Unmarshal(text, &made); err != nil {
		return err
	}
	p, err := s.person(ctx, id, secret, made.AccessKeyID, made.SecretAccessKey)
	if err != nil {
		return err
	}
	p.account = made.ID
	s.mu.Lock()
	defer s.mu.Unlock()
	s.people[id] = p
	return nil
}

func (s *shim) find(id string) *person {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.people[id]
}

// adminPath is where the proxy takes the gateway's administration.
const adminPath = "/-/versitygw-admin"

// admin is what the tests run as `./versitygw admin ARGUMENTS`: the suite does it.
func admin(args []string) int {
	endpoint := ""
	for i, arg := range args {
		if arg == "-er" && i+1 < len(args) {
			endpoint = args[i+1]
		}
	}
	text, err := json.Marshal(args)
	if err != nil {
		return 1
	}
	resp, err := http.Post(endpoint+adminPath, "application/json", bytes.NewReader(text))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer resp.Body.Close()
	io.Copy(os.Stdout, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}

// administer answers a command of the gateway's administration: options of the caller,
// the command, options of the command.
func (s *shim) administer(w http.ResponseWriter, r *http.Request) {
	var args []string
	if err := json.NewDecoder(r.Body).Decode(&args); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	caller, command, options := map[string]string{}, "", map[string]string{}
	into := caller
	for i := 0; i < len(args); i++ {
		switch {
		case !strings.HasPrefix(args[i], "-"):
			command, into = args[i], options
		case i+1 < len(args):
			into[args[i]] = args[i+1]
			i++
		}
	}
	if caller["-a"] != s.root.id {
		http.Error(w, "XAdminAccessDenied", http.StatusForbidden)
		return
	}
	switch command {
	case "create-user":
		if options["-r"] == "admin" {
			s.mu.Lock()
			administrator := *s.root
			administrator.id, administrator.secret = options["-a"], options["-s"]
			s.people[administrator.id] = &administrator
			s.mu.Unlock()
			return
		}
		if err := s.newPerson(r.Context(), options["-a"], options["-s"]); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	default:
		http.Error(w, "Coffer has no "+command, http.StatusNotImplemented)
	}
}

// grantHeaders are headers whose values are grantees.
var grantHeaders = []string{"X-Amz-Grant-Read", "X-Amz-Grant-Write", "X-Amz-Grant-Read-Acp", "X-Amz-Grant-Write-Acp", "X-Amz-Grant-Full-Control"}

const (
	ownerHeader = "X-Amz-Expected-Bucket-Owner"
	// The tests send it whenever they clean up; AWS takes it in buckets with object
	// lock alone.
	bypassHeader = "X-Amz-Bypass-Governance-Retention"
	lockHeader   = "X-Amz-Bucket-Object-Lock-Enabled"
)

func bucketOf(r *http.Request) string {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return bucket
}

func (s *shim) isLocked(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.locked[bucketOf(r)]
}

var (
	credential = regexp.MustCompile(`Credential=([^/,]+)/`)
	grantee    = regexp.MustCompile(`<ID[^>]*>([^<]*)</ID>`)
	// What the gateway takes for ids of versions that do not exist would be malformed.
	ulid       = regexp.MustCompile(`\b01[0-9A-HJKMNP-TV-Z]{24}\b`)
	bucketPath = regexp.MustCompile(`^/[^/]+/?$`)
)

func (s *shim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == adminPath {
		s.administer(w, r)
		return
	}
	var signer *person
	query := r.URL.Query()
	if m := credential.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		signer = s.find(m[1])
	} else if id, _, ok := strings.Cut(query.Get("X-Amz-Credential"), "/"); ok {
		signer = s.find(id)
	}
	if signer == nil || query.Has("X-Amz-Credential") && signer == s.root {
		s.proxy.ServeHTTP(w, r)
		return
	}
	if auth := r.Header.Get("Authorization"); auth != "" && !signedOnItsDay(auth, r.Header.Get("X-Amz-Date")) {
		r.Header.Set("Authorization", strings.Replace(auth, "="+signer.id+"/", "="+signer.key.AccessKeyID+"/", 1))
		s.proxy.ServeHTTP(w, r)
		return
	}
	changed := signer != s.root
	body, isRead, err := s.translate(r, query, &changed)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if changed {
		if isRead {
			resign.Body(r, body)
		}
		if err := resign.As(r, signer.key, os.Getenv("AWS_REGION")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	s.proxy.ServeHTTP(w, r)
}

// signedOnItsDay is whether a signature's scope has the date of the request. What has
// not is to be refused, and not to be mended by signing it again.
func signedOnItsDay(auth, date string) bool {
	day, _, ok := strings.Cut(date, "T")
	return ok && strings.Contains(auth, "/"+day+"/")
}

// translate puts AWS's names into a request, and leaves out the empty version ids with which
// the tests clean up locks, and which AWS refuses. It reads the body when there may be names
// in it.
func (s *shim) translate(r *http.Request, query url.Values, changed *bool) (body []byte, isRead bool, err error) {
	for _, h := range grantHeaders {
		if v := r.Header.Get(h); v != "" && !strings.Contains(v, "=") {
			r.Header.Set(h, s.grantees(v))
			*changed = true
		}
	}
	if v := r.Header.Get(ownerHeader); v != "" {
		r.Header.Set(ownerHeader, s.accountOf(v))
		*changed = true
	}
	if source := r.Header.Get("X-Amz-Copy-Source"); ulid.MatchString(source) {
		r.Header.Set("X-Amz-Copy-Source", ulid.ReplaceAllLiteralString(source, s.version))
		*changed = true
	}
	if ulid.MatchString(query.Get("versionId")) {
		r.URL.RawQuery = ulid.ReplaceAllLiteralString(r.URL.RawQuery, s.version)
		*changed = true
	}
	if r.Header.Get(bypassHeader) != "" && !s.isLocked(r) {
		r.Header.Del(bypassHeader)
		*changed = true
	}
	if versions := query["versionId"]; len(versions) == 1 && versions[0] == "" && (query.Has("retention") || query.Has("legal-hold")) {
		query.Del("versionId")
		r.URL.RawQuery = query.Encode()
		*changed = true
	}
	if r.Method != http.MethodPut || !query.Has("acl") && !query.Has("policy") {
		return nil, false, nil
	}
	body, err = io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return nil, false, err
	}
	before := string(body)
	if query.Has("policy") {
		body = s.policy(r.URL.Path, body)
	} else {
		body = grantee.ReplaceAllFunc(body, func(m []byte) []byte {
			id := grantee.FindSubmatch(m)[1]
			if p := s.find(string(id)); p != nil {
				return bytes.Replace(m, id, []byte(p.canonical), 1)
			}
			return m
		})
	}
	*changed = *changed || before != string(body)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return body, true, nil
}

// grantees turns access keys into grantees.
func (s *shim) grantees(list string) string {
	var all []string
	for id := range strings.SplitSeq(list, ",") {
		id = strings.TrimSpace(id)
		if p := s.find(id); p != nil {
			id = p.canonical
		}
		all = append(all, "id="+strconv.Quote(id))
	}
	return strings.Join(all, ", ")
}

// accountOf turns an access key into the account's number. What is none becomes an
// account that is nobody's.
func (s *shim) accountOf(id string) string {
	if p := s.find(id); p != nil && p.account != "" {
		return p.account
	}
	return "999999999999"
}

// policy turns principals that are access keys into the roots of their accounts, and
// says of those that are no object that they are AWS's: the gateway does not need that.
func (s *shim) policy(path string, text []byte) []byte {
	var doc map[string]any
	if json.Unmarshal(text, &doc) != nil {
		return text
	}
	statements, ok := doc["Statement"].([]any)
	if !ok {
		return text
	}
	changed := false
	name := func(v any) any {
		if id, ok := v.(string); ok {
			if p := s.find(id); p != nil {
				changed = true
				return p.arn()
			}
		}
		return v
	}
	list := func(v any) any {
		if all, ok := v.([]any); ok {
			for i := range all {
				all[i] = name(all[i])
			}
			return all
		}
		return name(v)
	}
	for _, st := range statements {
		statement, ok := st.(map[string]any)
		if !ok {
			continue
		}
		switch principal := statement["Principal"].(type) {
		case map[string]any:
			if aws, ok := principal["AWS"]; ok {
				principal["AWS"] = list(aws)
			}
		case []any:
			statement["Principal"] = map[string]any{"AWS": list(principal)}
			changed = true
		case string:
			if principal != "*" {
				statement["Principal"] = map[string]any{"AWS": name(principal)}
				changed = true
			}
		}
	}
	if !changed {
		return text
	}
	translated, err := json.Marshal(doc)
	if err != nil {
		return text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies[path+string(translated)] = string(text)
	return translated
}

// answer puts the tests' names into an answer, and lifts the public access block of a
// bucket that has just been made: the gateway knows none.
func (s *shim) answer(resp *http.Response) error {
	r := resp.Request
	if r.Method == http.MethodPut && resp.StatusCode == http.StatusOK && (r.Header.Get(lockHeader) == "true" || r.URL.Query().Has("object-lock")) {
		s.mu.Lock()
		s.locked[bucketOf(r)] = true
		s.mu.Unlock()
	}
	if r.Method == http.MethodPut && resp.StatusCode == http.StatusOK && bucketPath.MatchString(r.URL.Path) && r.URL.RawQuery == "" {
		return s.unblock(r)
	}
	kind := resp.Header.Get("Content-Type")
	if r.Method == http.MethodHead || !strings.Contains(kind, "xml") && !strings.Contains(kind, "json") || resp.ContentLength > 1<<20 {
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body.Close()
	body = s.ours(r.URL.Path, body)
	if strings.Contains(kind, "xml") {
		body = gatewayWords(body)
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if resp.Header.Get("Content-Length") != "" {
		resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	return nil
}

func (s *shim) ours(path string, body []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if policy, ok := s.policies[path+string(body)]; ok {
		return []byte(policy)
	}
	for _, p := range s.people {
		if p.canonical == s.root.canonical {
			p = s.root
		}
		body = bytes.ReplaceAll(body, []byte(p.canonical), []byte(p.id))
	}
	return body
}

func (s *shim) unblock(made *http.Request) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(made.Context()), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.upstream.String()+strings.TrimSuffix(made.URL.Path, "/")+"?publicAccessBlock=", nil)
	if err != nil {
		return err
	}
	m := credential.FindStringSubmatch(made.Header.Get("Authorization"))
	if m == nil {
		return nil
	}
	s.mu.Lock()
	var owner *person
	for _, p := range s.people {
		if p.key.AccessKeyID == m[1] {
			owner = p
		}
	}
	s.mu.Unlock()
	if owner == nil {
		return nil
	}
	resign.Body(r, nil)
	if err := resign.As(r, owner.key, os.Getenv("AWS_REGION")); err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
