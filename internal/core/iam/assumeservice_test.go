// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"errors"
	"testing"
)

func TestServicesAssumeRoles(t *testing.T) {
	w := newTown(t)
	trust := func(service, condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole","Condition":` + condition + `}]}`
	}
	const bucket = "arn:aws:s3:::photos"
	by := ServiceCaller("s3.amazonaws.com", bucket, home)
	for _, test := range []struct {
		name, trust string
		want        bool
	}{
		{"theservice", trust("s3.amazonaws.com", "{}"), true},
		{"anotherservice", trust("cloudtrail.amazonaws.com", "{}"), false},
		{"itsaccount", trusting(home), false},
		{"itsbucket", trust("s3.amazonaws.com", `{"StringEquals":{"aws:SourceArn":"`+bucket+`","aws:SourceAccount":"`+home+`"}}`), true},
		{"anotherbucket", trust("s3.amazonaws.com", `{"StringEquals":{"aws:SourceArn":"arn:aws:s3:::other"}}`), false},
		{"itsname", trust("s3.amazonaws.com", `{"StringEquals":{"sts:RoleSessionName":"s3-replication"}}`), true},
		{"anothername", trust("s3.amazonaws.com", `{"StringEquals":{"sts:RoleSessionName":"monday"}}`), false},
	} {
		arn := w.role(home, test.name, test.trust, allow("s3:GetObject"))
		who, err := w.AssumeForService(t.Context(), by, arn, "s3-replication")
		if !test.want {
			if !errors.Is(err, AccessDenied) {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		session := Caller{Principal: who, Secure: true, SigV4: true}
		if want := "arn:aws:sts::" + home + ":assumed-role/" + test.name + "/s3-replication"; who.ARN != want || who.RoleARN != arn || who.Type != AssumedRole || who.Account != home {
			t.Errorf("%s: the session is %+v", test.name, who)
		}
		if !w.may(session, "s3:GetObject", "arn:aws:s3:::photos/a") || w.may(session, "s3:PutObject", "arn:aws:s3:::photos/a") {
			t.Errorf("%s: the session may not do what the role may", test.name)
		}
	}
	if _, err := w.AssumeForService(t.Context(), by, "arn:aws:iam::"+home+":role/none", "s3-replication"); !errors.Is(err, AccessDenied) {
		t.Errorf("a role that is not there: %v", err)
	}
}
