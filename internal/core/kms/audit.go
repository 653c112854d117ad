// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// What this package records itself: the requests that S3 makes for a caller, and
// what happens to keys when nobody calls. Calls of the API are recorded by the
// road that they come on.

// internally is who acts in service events.
const internally = "AWS Internal"

const keyResource = "AWS::KMS::Key"

func (s *Service) event(name string) audit.Record {
	return audit.Record{
		EventVersion:    "1.11",
		EventTime:       time.Now().UTC().Truncate(time.Second),
		EventSource:     "kms.amazonaws.com",
		EventName:       name,
		AWSRegion:       s.region,
		RequestID:       uuid.NewString(),
		EventID:         uuid.NewString(),
		ManagementEvent: true,
		EventCategory:   audit.Management,
	}
}

// s3Request is a KMS request that S3 made for a caller.
type s3Request struct {
	event      string // its id
	by         iam.Caller
	class      Class
	keyARN     string // as S3 named it
	key        keyRef // zero when the ARN names none
	context    Context
	generation string // of the bucket key, "" without one
	materialID string // "" when the request failed
	err        error
}

// recordOf describes the request as CloudTrail does: as the caller's, through S3.
func (s *Service) recordOf(q s3Request) audit.Record {
	r := s.event(string(q.class))
	r.EventID = q.event
	r.UserIdentity = q.by.Identity()
	via := s.s3Name
	if q.by.Type == iam.AWSService {
		via = q.by.ARN // a service that calls for itself is who calls
	}
	r.UserIdentity.InvokedBy = via
	r.SourceIPAddress, r.UserAgent = via, via
	r.EventType, r.ReadOnly = audit.TypeAPICall, true
	r.RecipientAccountID = q.by.Account
	if r.RecipientAccountID == "" {
		r.RecipientAccountID = q.key.account
	}
	if q.key != (keyRef{}) {
		r.Resources = []audit.Resource{{AccountID: q.key.account, Type: keyResource, ARN: q.keyARN}}
	}

	r.RequestParameters = map[string]any{"encryptionContext": q.context}
	if q.class == Generate {
		r.RequestParameters["keyId"] = q.keyARN
		r.RequestParameters["keySpec"] = "AES_256"
	} else {
		r.RequestParameters["encryptionAlgorithm"] = SymmetricDefault
	}
	r.AdditionalEventData = map[string]any{"cofferParentRequestId": q.by.RequestID, "cofferClientIp": q.by.SourceIP}
	if q.generation != "" {
		r.AdditionalEventData["cofferGeneration"] = q.generation
	}
	if q.err == nil {
		r.AdditionalEventData["keyMaterialId"] = q.materialID
		return r
	}
	r.ErrorCode = ErrorName(q.err)
	if e, ok := fault.As(q.err); ok {
		r.ErrorMessage = e.Message
		if e.Kind == Throttled {
			r.ErrorMessage = ThrottledText
		}
		if e.Kind == AccessDenied {
			r.ErrorCode = "AccessDenied"
			r.RequestParameters = nil
		}
	}
	return r
}

// record appends the record of a request, and a copy of it for the account of the key if
// that is another. Both tell all of the caller; the id that they share is that of the
// caller's.
func (s *Service) record(ctx context.Context, r audit.Record, owner string) error {
	if owner == "" || owner == r.RecipientAccountID {
		return s.trail.Append(ctx, r, true)
	}
	r.SharedEventID = r.EventID
	err := s.trail.Append(ctx, r, true)
	r.EventID, r.RecipientAccountID = uuid.NewString(), owner
	return errors.Join(err, s.trail.Append(ctx, r, true))
}

// serviceEvent describes what happened to a key without a request.
func (s *Service) serviceEvent(name string, id uuid.UUID, at time.Time, key keyRef, details map[string]string) (audit.Record, error) {
	arn := key.arn(s.region)
	details["keyId"] = key.id
	encoded, err := json.Marshal(details)
	if err != nil {
		return audit.Record{}, fmt.Errorf("encode %s event: %w", name, err)
	}
	r := s.event(name)
	r.EventID, r.EventTime = id.String(), at.UTC().Truncate(time.Second)
	r.UserIdentity = audit.Identity{AccountID: key.account, InvokedBy: internally}
	r.SourceIPAddress, r.UserAgent = internally, internally
	r.EventType = audit.TypeServiceEvent
	r.RecipientAccountID = key.account
	r.Resources = []audit.Resource{{AccountID: key.account, Type: keyResource, ARN: arn}}
	r.ServiceEventDetails = encoded
	return r, nil
}

// recordRotations records events that wait in the key's row, then takes them
// out. A crash in between repeats an event under the same id.
func (s *Service) recordRotations(ctx context.Context, k *key, events []rotationEvent) error {
	ctx = context.WithoutCancel(ctx)
	for _, e := range events {
		r, err := s.serviceEvent("RotateKey", e.ID, e.At, k.ref(), map[string]string{
			"rotationType": e.Type, "keyOrigin": k.Origin, "currentKeyMaterialId": e.New, "previousKeyMaterialId": e.Old,
		})
		if err != nil {
			return err
		}
		if err := s.trail.Append(ctx, r, true); err != nil {
			return fault.New(Unavailable, "").Because(err)
		}
	}
	_, err := s.change(ctx, k.ref(), func(k *key, _ *meta.Batch) error {
		k.Rotation.Unrecorded = slices.DeleteFunc(k.Rotation.Unrecorded, func(e rotationEvent) bool {
			return slices.ContainsFunc(events, func(r rotationEvent) bool { return r.ID == e.ID })
		})
		return nil
	})
	return err
}

func (s *Service) recordDeletion(ctx context.Context, k *key) error {
	r, err := s.serviceEvent("DeleteKey", k.Deletion.EventID, *k.Deletion.Began, k.ref(), map[string]string{})
	if err != nil {
		return err
	}
	if err := s.trail.Append(context.WithoutCancel(ctx), r, true); err != nil {
		return fault.New(Unavailable, "").Because(err)
	}
	return nil
}
