// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/jsonscan"
)

// facts is what of a record can be searched for. It is used again for the next one.
type facts struct {
	list      []fact
	resources []named
	time      int64 // of the event, in seconds
	ok        bool  // it has a time, and may be a record
	username  []byte

	object, source         []byte // ARN of the object that an access is to, and of the one that it copies
	covering, sourceCovers []byte // id of the KMS event that covers each
}

type fact struct {
	field Field
	value []byte
}

// named is a resource with the name that LookupEvents shows.
type named struct{ kind, name []byte }

// Times that no event has.
const (
	minTime = math.MinInt64
	maxTime = math.MaxInt64
)

func (f *facts) add(field Field, value []byte) {
	if len(value) > 0 && len(value) <= maxValue {
		f.list = append(f.list, fact{field, value})
	}
}

// of reads a record, and reports whether the line can be one. What it finds is part of the
// line.
func (f *facts) of(line []byte) bool {
	*f = facts{list: f.list[:0], resources: f.resources[:0]}
	s := jsonscan.New(line)
	var source, later []byte
	s.Object(func(name []byte) {
		switch string(name) {
		case "eventTime":
			f.time, f.ok = parseTime(s.Text())
		case "userIdentity":
			f.identity(&s)
		case "eventSource":
			source = s.Text()
			f.add(EventSource, source)
		case "eventName":
			f.add(EventName, s.Text())
		case "sourceIPAddress":
			f.add(SourceIP, s.Text())
		case "errorCode":
			f.add(ErrorCode, s.Text())
		case "requestParameters":
			// What has a name in them comes behind the resources.
			if source == nil || kinds[string(source)] != nil {
				later = s.Value()
				return
			}
			f.parameters(&s, source)
		case "responseElements":
			f.response(&s)
		case "additionalEventData":
			f.additional(&s)
		case "requestID":
			f.add(RequestID, s.Text())
		case "eventID":
			f.add(EventID, s.Text())
		case "sharedEventID":
			f.add(SharedEvent, s.Text())
		case "readOnly":
			f.add(ReadOnly, s.Value())
		case "resources":
			s.Array(func() { f.resource(&s) })
		case "recipientAccountId":
			f.add(Account, s.Text())
		case "eventCategory":
			f.add(Category, s.Text())
		}
	})
	if later != nil {
		rest := jsonscan.New(later)
		f.parameters(&rest, source)
	}
	f.ok = f.ok && s.Whole()
	return s.Whole()
}

// identity reads userIdentity. The user's name is as LookupEvents has it: of a user,
// the name; of a session, its own; "root"; of a service, its name.
func (f *facts) identity(s *jsonscan.Scanner) {
	var kind, principal, arn, account, user, invokedBy []byte
	s.Object(func(name []byte) {
		switch string(name) {
		case "type":
			kind = s.Text()
		case "principalId":
			principal = s.Text()
		case "arn":
			arn = s.Text()
		case "accountId":
			account = s.Text()
		case "accessKeyId":
			f.add(AccessKeyID, s.Text())
		case "userName":
			user = s.Text()
		case "invokedBy":
			invokedBy = s.Text()
		case "sessionContext":
			f.session(s)
		}
	})
	f.add(Principal, arn)
	f.add(Principal, principal)
	if len(arn) == 0 && len(principal) == 0 {
		f.add(Principal, invokedBy)
		f.add(Principal, account) // "anonymous", among others
	}
	switch string(kind) {
	case "Root":
		f.username = []byte("root")
	case "AssumedRole", "FederatedUser":
		if _, session, ok := bytes.Cut(principal, []byte(":")); ok {
			f.username = session
		}
	case "AWSService":
		f.username = invokedBy
	default:
		f.username = user
	}
	f.add(Username, f.username)
}

// session reads a sessionContext, of which the role is the issuer.
func (f *facts) session(s *jsonscan.Scanner) {
	s.Object(func(name []byte) {
		if string(name) == "sessionIssuer" {
			s.Object(func(name []byte) {
				if string(name) == "arn" {
					f.add(Principal, s.Text())
				}
			})
		}
	})
}

func (f *facts) response(s *jsonscan.Scanner) {
	s.Object(func(name []byte) {
		if string(name) == "x-amz-server-side-encryption-aws-kms-key-id" {
			f.key(s.Text())
		}
	})
}

func (f *facts) resource(s *jsonscan.Scanner) {
	var kind, arn []byte
	s.Object(func(name []byte) {
		switch string(name) {
		case "type":
			kind = s.Text()
		case "ARN":
			arn = s.Text()
		}
	})
	switch string(kind) {
	case "AWS::S3::Bucket":
		f.bucketARN(arn)
		f.name(kind, afterColons(arn), arn)
	case "AWS::S3::Object":
		f.object = arn
		f.objectARN(arn)
		f.name(kind, arn, nil)
	case "AWS::KMS::Key":
		f.key(arn)
		f.name(kind, arn, afterSlash(arn))
	case "AWS::KMS::Alias":
		f.name(kind, arn, alias(arn))
	default:
		f.name(kind, arn, afterSlash(arn))
	}
}

// name notes a resource by the name that it is shown by, and by another.
func (f *facts) name(kind, name, other []byte) {
	if len(name) == 0 {
		return
	}
	f.resources = append(f.resources, named{kind, name})
	f.add(ResourceType, kind)
	f.add(ResourceName, name)
	f.add(ResourceName, other)
}

// bucketARN notes the bucket of an ARN of a bucket or an object.
func (f *facts) bucketARN(arn []byte) {
	bucket, _, _ := bytes.Cut(afterColons(arn), []byte("/"))
	f.add(Bucket, bucket)
}

func (f *facts) objectARN(arn []byte) {
	f.bucketARN(arn)
	f.add(Object, arn)
}

// key notes a KMS key by its ARN and by its id.
func (f *facts) key(arn []byte) {
	if bytes.HasPrefix(arn, []byte("arn:")) {
		f.add(Key, arn)
		f.add(Key, afterSlash(arn))
	}
}

// copied returns the ARN of the object that a header x-amz-copy-source names: bucket/key
// as in a URL, and maybe a version. nil is none.
func copied(header []byte) []byte {
	path, _, _ := bytes.Cut(bytes.TrimPrefix(header, []byte("/")), []byte("?versionId="))
	name, err := url.PathUnescape(string(path))
	if err != nil || !strings.Contains(name, "/") || strings.HasPrefix(name, "arn:") {
		return nil
	}
	return []byte("arn:aws:s3:::" + name)
}

// parameters reads requestParameters: of S3, the bucket and what is copied; of KMS requests for a bucket or
// an object, both; of the others, what has a name in them and no ARN in resources.
func (f *facts) parameters(s *jsonscan.Scanner, source []byte) {
	kinds := kinds[string(source)]
	s.Object(func(name []byte) {
		switch string(name) {
		case "bucketName":
			f.add(Bucket, s.Text())
		case "x-amz-copy-source":
			f.source = copied(s.Text())
			f.objectARN(f.source)
		case "encryptionContext", "sourceEncryptionContext", "destinationEncryptionContext":
			f.context(s)
		default:
			if kind := kinds[string(name)]; kind != "" {
				name := s.Text()
				f.name([]byte(kind), name, afterSlash(name))
			}
		}
	})
}

// context reads an encryption context, of which S3 writes one pair.
func (f *facts) context(s *jsonscan.Scanner) {
	s.Object(func(name []byte) {
		if string(name) != "aws:s3:arn" {
			return
		}
		arn := s.Text()
		f.bucketARN(arn)
		if bytes.IndexByte(arn, '/') >= 0 {
			f.add(Object, arn)
		}
	})
}

// kinds are the types of resources that request parameters name, by event source.
var kinds = map[string]map[string]string{
	"iam.amazonaws.com": {
		"userName": "AWS::IAM::User", "roleName": "AWS::IAM::Role", "groupName": "AWS::IAM::Group",
		"policyName": "AWS::IAM::Policy", "policyArn": "AWS::IAM::Policy", "accessKeyId": "AWS::IAM::AccessKey",
		"openIDConnectProviderArn": "AWS::IAM::OIDCProvider",
	},
	"sts.amazonaws.com":        {"roleArn": "AWS::IAM::Role"},
	"cloudtrail.amazonaws.com": {"name": "AWS::CloudTrail::Trail", "trailName": "AWS::CloudTrail::Trail"},
}

// additional reads Coffer's own facts.
func (f *facts) additional(s *jsonscan.Scanner) {
	s.Object(func(name []byte) {
		switch string(name) {
		case "cofferClientIp":
			f.add(SourceIP, s.Text())
		case "cofferParentRequestId":
			f.add(RequestID, s.Text())
		case "cofferKeyArn", "cofferSourceKeyArn":
			f.key(s.Text())
		case "cofferGeneration", "cofferSourceGeneration":
			f.add(Generation, s.Text())
		case "cofferKmsEventId":
			f.covering = s.Text()
			f.add(KMSEvent, f.covering)
		case "cofferSourceKmsEventId":
			f.sourceCovers = s.Text()
			f.add(KMSEvent, f.sourceCovers)
		}
	})
}

// match reports whether the record is one that the plan is for.
func (f *facts) match(p *plan) bool {
	if !f.ok || f.time < p.since || f.time >= p.until {
		return false
	}
	var has uint32
	prefixed := p.prefix == ""
	for _, fact := range f.list {
		for i := range p.Terms {
			if t := &p.Terms[i]; t.Field == fact.field && t.Value == string(fact.value) {
				has |= 1 << i
			}
		}
		if !prefixed && fact.field == Object {
			key := afterColons(fact.value)
			prefixed = len(key) >= len(p.prefix) && string(key[:len(p.prefix)]) == p.prefix
		}
	}
	return prefixed && has&p.must == p.must && has&p.mustNot == 0
}

// afterColons returns what follows the ::: of an ARN of S3.
func afterColons(arn []byte) []byte {
	_, after, _ := bytes.Cut(arn, []byte(":::"))
	return after
}

// afterSlash returns what follows the last slash, or nil.
func afterSlash(arn []byte) []byte {
	if i := bytes.LastIndexByte(arn, '/'); i >= 0 {
		return arn[i+1:]
	}
	return nil
}

// alias returns the name of a key's alias, which begins with alias/.
func alias(arn []byte) []byte {
	if i := bytes.Index(arn, []byte(":alias/")); i >= 0 {
		return arn[i+1:]
	}
	return nil
}

// parseTime reads an event's time, which is nearly always of one form.
func parseTime(b []byte) (seconds int64, ok bool) {
	const form = "2006-01-02T15:04:05Z"
	if len(b) == len(form) && b[4] == '-' && b[7] == '-' && b[10] == 'T' && b[13] == ':' && b[16] == ':' && b[19] == 'Z' {
		year := digits(b[0:4])
		month, day := digits(b[5:7]), digits(b[8:10])
		hour, minute, second := digits(b[11:13]), digits(b[14:16]), digits(b[17:19])
		if year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= 28 && hour >= 0 && hour < 24 &&
			minute >= 0 && minute < 60 && second >= 0 && second < 60 {
			return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC).Unix(), true
		}
	}
	at, err := time.Parse(time.RFC3339, string(b)) // as json does for the record
	return at.Unix(), err == nil
}

// digits reads a number; -1 is none.
func digits(b []byte) (n int) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}
