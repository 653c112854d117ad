// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Rows of the metadata store; names are in lower case there:
//
//	i/e/<account>               rewritten by every change of the account; its version
//	                            dates what is kept in memory, and makes changes serial
//	i/a/<account>               an account
//	i/c/<canonical id>          the account of a canonical user id
//	i/n/<alias>                 the account of an account alias
//	i/u/<account>/<name>        a user
//	i/g/<account>/<name>        a group
//	i/r/<account>/<name>        a role
//	i/p/<account>/<name>        a managed policy
//	i/i/<unique id>             what has this unique id
//	i/m/<group id>/<user id>    a user is in a group
//	i/x/<account>/<policy id>/<use><unique id>  a managed policy is used
//	i/k/<access key id>         an access key
//	i/l/<access key id>         when it was last used
//	i/o/<account>/<URL without https://>  an OpenID Connect identity provider
const (
	epochRows     = "i/e/"
	accountRows   = "i/a/"
	canonicalRows = "i/c/"
	aliasRows     = "i/n/"
	userRows      = "i/u/"
	groupRows     = "i/g/"
	roleRows      = "i/r/"
	policyRows    = "i/p/"
	idRows        = "i/i/"
	memberRows    = "i/m/"
	useRows       = "i/x/"
	accessKeyRows = "i/k/"
	lastUsedRows  = "i/l/"
)

func epochRow(account string) string       { return epochRows + account }
func accountRow(account string) string     { return accountRows + account }
func userRow(account, name string) string  { return userRows + account + "/" + strings.ToLower(name) }
func groupRow(account, name string) string { return groupRows + account + "/" + strings.ToLower(name) }
func roleRow(account, name string) string  { return roleRows + account + "/" + strings.ToLower(name) }
func policyRow(account, name string) string {
	return policyRows + account + "/" + strings.ToLower(name)
}
func idRow(id string) string              { return idRows + id }
func memberRow(group, user string) string { return memberRows + group + "/" + user }
func accessKeyRow(id string) string       { return accessKeyRows + id }
func lastUsedRow(id string) string        { return lastUsedRows + id }

// How a managed policy is used, in i/x/ rows.
const (
	usedByUser     = "u"
	usedByGroup    = "g"
	usedByRole     = "r"
	boundsUser     = "U"
	boundsRole     = "R"
	attachedUses   = usedByUser + usedByGroup + usedByRole
	boundaryUses   = boundsUser + boundsRole
	formatOfRows   = 1
	rootOfAccounts = "" // the user id of a root's access key
)

func useRow(account, policyID, use, id string) string {
	return useRows + account + "/" + policyID + "/" + use + id
}

// Tag is a pair of the tags of a user, role or policy. Keys are told apart without
// regard to case.
type Tag struct {
	Key   string `json:"key" api:"required 1-128 tag"`
	Value string `json:"value" api:"required 0-256 tag"`
}

// epoch is the row of that name.
type epoch struct {
	Version  int `json:"version"`
	Users    int `json:"users,omitempty"`
	Groups   int `json:"groups,omitempty"`
	Roles    int `json:"roles,omitempty"`
	Policies int `json:"policies,omitempty"`
}

// account is the row of an account.
type account struct {
	Version  int       `json:"version"`
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Created  time.Time `json:"created"`
	First    bool      `json:"first,omitempty"`    // the server's own: its root's access key is i/root
	RootKeys []string  `json:"rootKeys,omitempty"` // access key ids, the oldest first
	Alias    string    `json:"alias,omitempty"`
	// Controls are the account's service control policies; nil: none apply.
	Controls []named `json:"controls,omitempty"`
	// Closing says that the account is being deleted: nobody in it may do anything.
	Closing bool `json:"closing,omitempty"`
}

// named is a policy that is part of another row.
type named struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// entity is what users, groups and roles have in common.
type entity struct {
	Version  int       `json:"version"`
	Account  string    `json:"account"`
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Path     string    `json:"path"`
	Created  time.Time `json:"created"`
	Inline   []named   `json:"inline,omitempty"`   // by name
	Attached []string  `json:"attached,omitempty"` // ARNs of managed policies, by ARN
}

// user is the row of a user.
type user struct {
	entity
	Boundary string   `json:"boundary,omitempty"` // ARN of a managed policy
	Tags     []Tag    `json:"tags,omitempty"`
	Groups   []string `json:"groups,omitempty"` // unique ids
	Keys     []string `json:"keys,omitempty"`   // access key ids, the oldest first
}

// group is the row of a group.
type group struct{ entity }

// role is the row of a role.
type role struct {
	entity
	Boundary    string `json:"boundary,omitempty"`
	Tags        []Tag  `json:"tags,omitempty"`
	Description string `json:"description,omitempty"`
	MaxSession  int    `json:"maxSession"` // seconds
	Trust       string `json:"trust"`
	// Principals are the unique ids of who Trust names, by ARN, when it was written.
	Principals map[string]string `json:"principals,omitempty"`
}

// managed is the row of a managed policy.
type managed struct {
	Version     int             `json:"version"`
	Account     string          `json:"account"` // "aws" for those that every account has
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Path        string          `json:"path"`
	Created     time.Time       `json:"created"`
	Updated     time.Time       `json:"updated"`
	Description string          `json:"description,omitempty"`
	Tags        []Tag           `json:"tags,omitempty"`
	Default     int             `json:"default"` // number of a version
	Last        int             `json:"last"`    // the last number given; never reused
	Versions    []policyVersion `json:"versions"`
}

type policyVersion struct {
	Number  int       `json:"number"`
	Created time.Time `json:"created"`
	Text    string    `json:"text"`
}

// text returns the document that counts.
func (p *managed) text() string {
	for _, v := range p.Versions {
		if v.Number == p.Default {
			return v.Text
		}
	}
	return ""
}

// identity is the row of a unique id.
type identity struct {
	Account string `json:"account"`
	Kind    string `json:"kind"` // "user", "group", "role", "policy"
	Name    string `json:"name"`
}

// Kinds of identities, as they stand in ARNs.
const (
	kindUser   = "user"
	kindGroup  = "group"
	kindRole   = "role"
	kindPolicy = "policy"
)

// accessKey is the row of an access key. Sealed is as in i/root.
type accessKey struct {
	Version int       `json:"version"`
	ID      string    `json:"accessKeyId"`
	Account string    `json:"account"`
	UserID  string    `json:"userId,omitempty"` // "" is the root's
	Active  bool      `json:"active"`
	Created time.Time `json:"created"`
	Sealed  []byte    `json:"sealed"`
}

// lastUsed is the row of that name.
type lastUsed struct {
	At      time.Time `json:"at"`
	Service string    `json:"service"`
	Region  string    `json:"region"`
}

func entityARN(account, kind, path, name string) string {
	return "arn:aws:iam::" + account + ":" + kind + path + name
}

func (u *user) arn() string    { return entityARN(u.Account, kindUser, u.Path, u.Name) }
func (g *group) arn() string   { return entityARN(g.Account, kindGroup, g.Path, g.Name) }
func (r *role) arn() string    { return entityARN(r.Account, kindRole, r.Path, r.Name) }
func (p *managed) arn() string { return entityARN(p.Account, kindPolicy, p.Path, p.Name) }

func decodeRow(row string, value []byte, into any) error {
	if err := json.Unmarshal(value, into); err != nil {
		return fault.New(meta.Damaged, "").With("Row", row).Because(err)
	}
	if v, ok := into.(interface{ format() int }); ok && v.format() != formatOfRows {
		return fault.New(meta.Damaged, "").With("Row", row).Because(fmt.Errorf("version %d is not known", v.format()))
	}
	return nil
}

func (e *epoch) format() int     { return e.Version }
func (a *account) format() int   { return a.Version }
func (e *entity) format() int    { return e.Version }
func (p *managed) format() int   { return p.Version }
func (k *accessKey) format() int { return k.Version }

// encodeRow cannot fail: rows hold strings, numbers and times of this era.
func encodeRow(row any) []byte {
	b, err := json.Marshal(row)
	if err != nil {
		panic("iam: encode row: " + err.Error())
	}
	return b
}
