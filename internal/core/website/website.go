// SPDX-License-Identifier: Apache-2.0

// Package website says what a bucket that is a website answers: an object, a redirect, or
// an error and the page that the bucket has for it (S3 User Guide, "Hosting a static
// website using Amazon S3"). Whoever asks may do no more than access decides.
package website

import (
	"context"
	"errors"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
)

// Sites are the websites of all buckets. It is safe for concurrent use.
type Sites struct {
	buckets *bucket.Buckets
	objects *object.Objects
	access  *access.Authorizer
	status  func(error) int
}

// New returns the websites. status says with which status an error is answered: rules are
// for some, and the bucket's own page is for those of clients.
func New(buckets *bucket.Buckets, objects *object.Objects, access *access.Authorizer, status func(error) int) *Sites {
	return &Sites{buckets, objects, access, status}
}

// Request asks a website for what is at a path.
type Request struct {
	Bucket    string
	Key       string // the path without its first slash
	Head      bool   // without the body
	Condition object.ReadCondition
	Range     string         // the Range header; "" for the whole object
	Keys      policy.Context // condition keys on the request's surface
}

// Answer is what a website answers. Its Object, if there is one, has a Body to be closed,
// unless only its head was asked for.
type Answer struct {
	Key      string         // that was looked for: of a directory, its index document
	Object   *object.Object // or nil
	Redirect *Redirect      // or nil
	// Err is the error of the request. Object is then the bucket's page for errors, if it
	// has one.
	Err error
	// PageErr says why there is no such page although the bucket names one: its key is Page.
	PageErr error
	Page    string
}

// Redirect says where to go instead.
type Redirect struct {
	Status int
	// Location, if it is not empty, is all there is to it: of an object that says so.
	Location string
	// Host and Protocol are those of the request where they are empty.
	Host, Protocol string
	// The path is what a rule says, as it says it, and then the rest of the request's key.
	Replaced, Rest string
	// Directory says that the path is for a slash at its end, which the request lacked.
	Directory bool
}

// Statuses of redirects, where nobody says another one.
const (
	movedPermanently = 301
	found            = 302
)

// Get answers a request. An error is one that the bucket has no say in: there is no such
// bucket or website, the server fails, or nothing has changed since the client's copy.
func (s *Sites) Get(ctx context.Context, by iam.Caller, in Request) (Answer, error) {
	b, err := s.buckets.Access(ctx, in.Bucket)
	if err != nil {
		return Answer{}, err
	}
	site, err := s.buckets.Website(ctx, b.Bucket)
	if err != nil {
		return Answer{}, err
	}
	if site.RedirectAll != nil {
		return Answer{Key: in.Key, Redirect: redirect(site.RedirectAll, "", in.Key)}, nil
	}
	if r := site.Route(in.Key, 0); r != nil {
		return Answer{Key: in.Key, Redirect: routed(r, in.Key)}, nil
	}
	return s.serve(ctx, by, in, site)
}

// serve answers with an object, or what stands for it.
func (s *Sites) serve(ctx context.Context, by iam.Caller, in Request, site *bucket.Website) (Answer, error) {
	a := Answer{Key: in.Key}
	if in.Key == "" || strings.HasSuffix(in.Key, "/") {
		a.Key += *site.Index
	}
	if a.Object, a.Err = s.read(ctx, by, in, a.Key); a.Err == nil {
		return moved(a), nil
	}
	if errors.Is(a.Err, object.NoSuchKey) {
		if a.Key == in.Key && s.directory(ctx, by, in, *site.Index) {
			return Answer{Key: in.Key, Redirect: &Redirect{Status: found, Rest: in.Key, Directory: true}}, nil
		}
		a.Err = s.access.Missing(ctx, access.Request{By: by, Keys: in.Keys}, aws.BucketARN(in.Bucket), a.Err)
	}
	status := s.status(a.Err)
	if status < 400 {
		return a, a.Err
	}
	if r := site.Route(in.Key, status); r != nil {
		return Answer{Key: a.Key, Redirect: routed(r, in.Key), Err: a.Err}, nil
	}
	if status >= 500 {
		return a, a.Err
	}
	if site.Error == nil {
		return a, nil
	}
	in.Condition, in.Range = object.ReadCondition{}, "" // are about what is not there
	a.Page = *site.Error
	a.Object, a.PageErr = s.read(ctx, by, in, a.Page)
	if errors.Is(a.PageErr, object.NoSuchKey) {
		a.PageErr = s.access.Missing(ctx, access.Request{By: by, Keys: in.Keys}, aws.BucketARN(in.Bucket), a.PageErr)
	}
	return moved(a), nil
}

// read reads an object, if it may be read.
func (s *Sites) read(ctx context.Context, by iam.Caller, in Request, key string) (*object.Object, error) {
	get := object.Get{
		VersionRef: object.VersionRef{Ref: object.Ref{Ref: bucket.Ref{Bucket: in.Bucket}, Key: key}},
		Condition:  in.Condition, Range: in.Range,
	}
	if err := s.access.Authorize(ctx, access.Request{By: by, In: get, Keys: in.Keys}); err != nil {
		return nil, err
	}
	if in.Head {
		return s.objects.Head(ctx, by, get)
	}
	return s.objects.Get(ctx, by, get)
}

// directory reports whether a key would be a directory's, if it ended in a slash: whether
// there is an index document, and the caller may read it.
func (s *Sites) directory(ctx context.Context, by iam.Caller, in Request, index string) bool {
	in.Head, in.Condition, in.Range = true, object.ReadCondition{}, ""
	_, err := s.read(ctx, by, in, in.Key+"/"+index)
	return err == nil
}

// moved makes a redirect of an object that says that it is elsewhere.
func moved(a Answer) Answer {
	if a.Object == nil {
		return a
	}
	location := a.Object.Redirect()
	if location == "" {
		return a
	}
	if a.Object.Body != nil {
		a.Object.Body.Close()
	}
	a.Object, a.Redirect = nil, &Redirect{Status: movedPermanently, Location: location}
	return a
}
