// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Accounts is what operators do with accounts (iam.Service).
type Accounts interface {
	CreateAccount(ctx context.Context, id, name string) (iam.NewAccount, error)
	RenewRootKey(ctx context.Context, id string) (iam.NewAccount, error)
	Accounts(ctx context.Context) ([]iam.Account, error)
	DeleteAccount(ctx context.Context, id string) error
	SetControls(ctx context.Context, id string, controls []iam.Control) error
}

// Account is an account as the operator's API shows it.
type Account struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Alias        string    `json:"alias,omitempty"`
	Created      time.Time `json:"created"`
	Operator     bool      `json:"operator,omitempty"` // the server's own
	AccessKeyIDs []string  `json:"accessKeyIds"`       // of its root
	Policies     []string  `json:"serviceControlPolicies,omitempty"`
	Closing      bool      `json:"closing,omitempty"` // its deletion was broken off
}

// NewAccount is an account with its root's access key, whose secret is told this once.
type NewAccount struct {
	Account
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// Control is a service control policy.
type Control struct {
	Name     string `json:"name"`
	Document string `json:"document"`
}

func shownAccount(a iam.Account) Account {
	return Account{a.ID, a.Name, a.Alias, a.Created, a.First, a.RootKeys, a.Controls, a.Closing}
}

type createAccount struct{ id, name string }

// Needs returns the permission.
func (createAccount) Needs() []policy.Need { return needs("CreateAccount") }

func (a *API) createAccountOp() pipeline.Op {
	return pipeline.Define("CreateAccount", 0, pipeline.Route{Method: http.MethodPost, Path: apiPrefix + "accounts"},
		func(c *pipeline.Call) (in createAccount, err error) {
			if err := mayTell(c); err != nil {
				return in, err
			}
			p, err := parameters(c, "id", "name")
			return createAccount{p["id"], p["name"]}, err
		},
		func(ctx context.Context, _ iam.Caller, in createAccount) (iam.NewAccount, error) {
			return a.Accounts.CreateAccount(ctx, in.id, in.name)
		},
		tellSecret)
}

// mayTell refuses to tell secrets to where others may read them.
func mayTell(c *pipeline.Call) error {
	if !c.Caller.Secure {
		return fault.New(Forbidden, "A secret access key is told only over HTTPS, or on the machine that the server runs on.")
	}
	return nil
}

func tellSecret(c *pipeline.Call, out iam.NewAccount) (*pipeline.Response, error) {
	defer out.Secret.Clear()
	c.AuditResponse(map[string]any{"id": out.ID, "accessKeyId": out.RootKeys[0]})
	return inJSON(c, NewAccount{shownAccount(out.Account), out.RootKeys[0], string(out.Secret.Reveal())})
}

type renewRootKey struct{ id string }

// Needs returns the permission.
func (renewRootKey) Needs() []policy.Need { return needs("RenewRootAccessKey") }

func (a *API) renewRootKeyOp() pipeline.Op {
	return pipeline.Define("RenewRootAccessKey", 0, pipeline.Route{Method: http.MethodPost, Path: apiPrefix + "accounts/rekey"},
		func(c *pipeline.Call) (in renewRootKey, err error) {
			if err := mayTell(c); err != nil {
				return in, err
			}
			p, err := parameters(c, "id")
			return renewRootKey{p["id"]}, err
		},
		func(ctx context.Context, _ iam.Caller, in renewRootKey) (iam.NewAccount, error) {
			return a.Accounts.RenewRootKey(ctx, in.id)
		},
		tellSecret)
}

type listAccounts struct{}

// Needs returns the permission.
func (listAccounts) Needs() []policy.Need { return needs("ListAccounts") }

func (a *API) listAccountsOp() pipeline.Op {
	return pipeline.Define("ListAccounts", pipeline.Read, pipeline.Route{Method: http.MethodGet, Path: apiPrefix + "accounts"},
		func(c *pipeline.Call) (listAccounts, error) {
			_, err := parameters(c)
			return listAccounts{}, err
		},
		func(ctx context.Context, _ iam.Caller, _ listAccounts) ([]iam.Account, error) {
			return a.Accounts.Accounts(ctx)
		},
		func(c *pipeline.Call, out []iam.Account) (*pipeline.Response, error) {
			shown := make([]Account, 0, len(out))
			for _, account := range out {
				shown = append(shown, shownAccount(account))
			}
			return inJSON(c, shown)
		})
}

type deleteAccount struct{ id string }

// Needs returns the permission.
func (deleteAccount) Needs() []policy.Need { return needs("DeleteAccount") }

func (a *API) deleteAccountOp() pipeline.Op {
	return pipeline.Define("DeleteAccount", 0, pipeline.Route{Method: http.MethodPost, Path: apiPrefix + "accounts/delete"},
		func(c *pipeline.Call) (deleteAccount, error) {
			p, err := parameters(c, "id")
			return deleteAccount{p["id"]}, err
		},
		func(ctx context.Context, _ iam.Caller, in deleteAccount) (struct{}, error) {
			return struct{}{}, a.Accounts.DeleteAccount(ctx, in.id)
		},
		func(c *pipeline.Call, out struct{}) (*pipeline.Response, error) { return inJSON(c, out) })
}

type setControls struct {
	id       string
	controls []iam.Control
}

// Needs returns the permission.
func (setControls) Needs() []policy.Need { return needs("SetServiceControlPolicies") }

func (a *API) setControlsOp() pipeline.Op {
	return pipeline.Define("SetServiceControlPolicies", 0, pipeline.Route{Method: http.MethodPost, Path: apiPrefix + "accounts/controls"},
		func(c *pipeline.Call) (in setControls, err error) {
			p, err := parameters(c, "id")
			if err != nil {
				return in, err
			}
			body, err := c.Document()
			if err != nil {
				return in, err
			}
			var controls []Control
			if err := json.Unmarshal(body, &controls); err != nil {
				return in, fault.New(InvalidParameter, "The body is no list of service control policies.").Because(err)
			}
			names := make([]string, 0, len(controls))
			for _, control := range controls {
				names = append(names, control.Name)
				in.controls = append(in.controls, iam.Control{Name: control.Name, Text: control.Document})
			}
			in.id = p["id"]
			c.AuditParameters(map[string]any{"id": in.id, "serviceControlPolicies": names})
			return in, nil
		},
		func(ctx context.Context, _ iam.Caller, in setControls) (struct{}, error) {
			return struct{}{}, a.Accounts.SetControls(ctx, in.id, in.controls)
		},
		func(c *pipeline.Call, out struct{}) (*pipeline.Response, error) { return inJSON(c, out) })
}

// CreateAccount makes an account. An empty id lets the server choose one.
func (c *Client) CreateAccount(ctx context.Context, id, name string) (NewAccount, error) {
	p := url.Values{"name": {name}}
	if id != "" {
		p.Set("id", id)
	}
	return c.newAccount(ctx, "accounts", p)
}

// RenewRootKey gives the root of an account a new access key in the place of those that
// it has.
func (c *Client) RenewRootKey(ctx context.Context, id string) (NewAccount, error) {
	return c.newAccount(ctx, "accounts/rekey", url.Values{"id": {id}})
}

func (c *Client) newAccount(ctx context.Context, path string, p url.Values) (out NewAccount, err error) {
	body, err := c.value(ctx, http.MethodPost, path, p)
	if err == nil && json.Unmarshal(body, &out) != nil {
		err = c.notCoffer("answered something else than an account")
	}
	return out, err
}

// Accounts returns all accounts, by id.
func (c *Client) Accounts(ctx context.Context) (out []Account, err error) {
	body, err := c.value(ctx, http.MethodGet, "accounts", nil)
	if err == nil && json.Unmarshal(body, &out) != nil {
		err = c.notCoffer("answered something else than accounts")
	}
	return out, err
}

// DeleteAccount deletes an account that owns nothing any more.
func (c *Client) DeleteAccount(ctx context.Context, id string) error {
	_, err := c.value(ctx, http.MethodPost, "accounts/delete", url.Values{"id": {id}})
	return err
}

// SetControls sets the service control policies of an account, in the place of those that
// it has.
func (c *Client) SetControls(ctx context.Context, id string, controls []Control) error {
	body, err := json.Marshal(append([]Control{}, controls...))
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	resp, err := c.send(ctx, http.MethodPost, "accounts/controls", url.Values{"id": {id}}, body)
	if err == nil {
		resp.Body.Close()
	}
	return err
}
