// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"slices"
	"testing"
)

func TestCanned(t *testing.T) {
	const writer, owner = "writer", "owner"
	mine := Grant{ID: writer, Permission: FullControl}
	for canned, want := range map[Canned]List{
		Private:                nil,
		PublicRead:             {mine, {Group: AllUsers, Permission: Read}},
		PublicReadWrite:        {mine, {Group: AllUsers, Permission: Read}, {Group: AllUsers, Permission: Write}},
		AuthenticatedRead:      {mine, {Group: AuthenticatedUsers, Permission: Read}},
		BucketOwnerRead:        {mine, {ID: owner, Permission: Read}},
		BucketOwnerFullControl: {mine, {ID: owner, Permission: FullControl}},
		LogDeliveryWrite:       {mine, {Group: LogDelivery, Permission: Write}, {Group: LogDelivery, Permission: ReadACP}},
		AWSExecRead:            nil, // whom it is for there is nobody of
	} {
		if got := (Asked{Canned: canned}).List(writer, owner); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", canned, got, want)
		}
	}
	if got := (Asked{Canned: BucketOwnerRead}).List(owner, owner); got != nil {
		t.Errorf("the owner's own: %v", got)
	}
	if (Canned("open")).Valid() || !PublicRead.Valid() {
		t.Error("which canned lists there are")
	}
}

func TestAllows(t *testing.T) {
	l := List{{ID: "a", Permission: Read}, {ID: "b", Permission: FullControl}, {Group: AuthenticatedUsers, Permission: Read}, {Group: AllUsers, Permission: ReadACP}}
	for _, c := range []struct {
		p    Permission
		who  Who
		want bool
	}{
		{Read, Who{ID: "a"}, true},
		{Write, Who{ID: "a"}, false},
		{WriteACP, Who{ID: "b"}, true},
		{Read, Who{ID: "c"}, true},
		{Read, Who{ID: "c", NoPublic: true}, false},
		{Read, Who{ID: AnonymousID, Anonymous: true}, false},
		{ReadACP, Who{ID: AnonymousID, Anonymous: true}, true},
		{Read, Who{ID: "a", NoPublic: true}, true},
	} {
		if got := l.Allows(c.p, c.who); got != c.want {
			t.Errorf("%s for %+v: %t", c.p, c.who, got)
		}
	}
	if (List{{Group: LogDelivery, Permission: Write}}).Public() || !l.Public() {
		t.Error("which lists are public")
	}
}

func TestAllowedDisabled(t *testing.T) {
	for _, c := range []struct {
		asked Asked
		want  bool
	}{
		{Asked{}, true},
		{Asked{Canned: BucketOwnerFullControl}, true},
		{Asked{Canned: Private}, false},
		{Asked{Grants: List{{ID: "owner", Permission: FullControl}}}, true},
		{Asked{Grants: List{{ID: "owner", Permission: Read}}}, false},
		{Asked{Grants: List{}}, false},
	} {
		if got := c.asked.AllowedDisabled("owner"); got != c.want {
			t.Errorf("%+v: %t", c.asked, got)
		}
	}
}

// What is granted to the group of log delivery is for that service alone, and not public:
// what blocks public lists does not block it.
func TestLogDelivery(t *testing.T) {
	list := List{{Group: LogDelivery, Permission: Write}, {Group: LogDelivery, Permission: ReadACP}}
	for name, c := range map[string]struct {
		who  Who
		want bool
	}{
		"the service":                   {Who{ID: AnonymousID, Anonymous: true, LogDelivery: true}, true},
		"the service, with no public":   {Who{ID: AnonymousID, Anonymous: true, LogDelivery: true, NoPublic: true}, true},
		"another service":               {Who{ID: AnonymousID, Anonymous: true}, false},
		"nobody, with no public":        {Who{ID: AnonymousID, Anonymous: true, NoPublic: true}, false},
		"somebody who is not a service": {Who{ID: "a"}, false},
	} {
		if list.Allows(Write, c.who) != c.want || list.Allows(Read, c.who) {
			t.Errorf("%s: %t", name, !c.want)
		}
	}
	public := List{{Group: AllUsers, Permission: Write}, {ID: AnonymousID, Permission: Write}}
	if service := (Who{ID: AnonymousID, Anonymous: true, LogDelivery: true, NoPublic: true}); public.Allows(Write, service) {
		t.Error("what is public is allowed where nothing public counts")
	}
	for _, c := range []struct {
		list List
		want bool
	}{
		{list, true}, {List{{Group: LogDelivery, Permission: FullControl}}, true}, {list[:1], false}, {list[1:], false}, {public, false}, {nil, false},
	} {
		if c.list.ForLogs() != c.want {
			t.Errorf("%v is for logs: %t", c.list, !c.want)
		}
	}
}
