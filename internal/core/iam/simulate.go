// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Simulated is what both simulations ask: what policies say of some actions on some
// resources.
type Simulated struct {
	ActionNames                        []string       `api:"required 1-1000 each:3-128"`
	ResourceArns                       []string       `api:"0-1000 each:1-2048"`
	ResourcePolicy                     string         `api:"1-131072 document"`
	ResourceOwner                      string         `api:"1-2048"`
	CallerArn                          string         `api:"1-2048"`
	ContextEntries                     []ContextEntry `api:"0-256"`
	PermissionsBoundaryPolicyInputList []string       `api:"0-1 each:1-131072 document"`
	ResourceHandlingOption             string         `api:"1-64"`
	Paged
}

// ContextEntry is a condition key with its values. Its type follows from the operator
// that asks for it.
type ContextEntry struct {
	ContextKeyName   string   `api:"required 5-256"`
	ContextKeyValues []string `api:"0-100"`
	ContextKeyType   string   `api:"string|stringList|numeric|numericList|boolean|booleanList|ip|ipList|binary|binaryList|date|dateList"`
}

// SimulateCustomPolicy simulates policies that nobody has.
type SimulateCustomPolicy struct {
	PolicyInputList []string `api:"required 0-100 each:1-131072 document"`
	Simulated
}

// SimulatePrincipalPolicy simulates the policies of a user, a group or a role, with
// others that are added.
type SimulatePrincipalPolicy struct {
	PolicySourceArn string   `api:"required 20-2048"`
	PolicyInputList []string `api:"0-100 each:1-131072 document"`
	Simulated
}

// Simulation is the outcome, action by action and resource by resource.
type Simulation struct {
	EvaluationResults []EvaluationResult
	Page
}

// EvaluationResult is what is decided of one action on one resource.
type EvaluationResult struct {
	EvalActionName                    string
	EvalResourceName                  string
	EvalDecision                      string // "allowed", "explicitDeny", "implicitDeny"
	MatchedStatements                 []MatchedStatement
	MissingContextValues              []string
	OrganizationsDecisionDetail       *ByOrganizations
	PermissionsBoundaryDecisionDetail *ByPermissionsBoundary
}

// ByOrganizations says whether service control policies allow it.
type ByOrganizations struct{ AllowedByOrganizations bool }

// ByPermissionsBoundary says whether the boundary allows it.
type ByPermissionsBoundary struct{ AllowedByPermissionsBoundary bool }

// MatchedStatement is a statement that the decision rests on.
type MatchedStatement struct {
	SourcePolicyId   string
	SourcePolicyType string
	StartPosition    Position
	EndPosition      Position
}

// Position is a place in a document; both count from 1.
type Position struct{ Line, Column int }

// SimulateCustomPolicy says what policies would decide. Faults: AccessDenied,
// InvalidInput.
func (s *Service) SimulateCustomPolicy(ctx context.Context, by Caller, in SimulateCustomPolicy) (Simulation, error) {
	if err := s.may(ctx, by, "SimulateCustomPolicy", "*", nil); err != nil {
		return Simulation{}, err
	}
	m := &simulation{account: by.Account, sources: map[string]source{}, places: map[*policy.Document][][2]policy.Position{}}
	m.who = policy.Principal{Type: policy.User, Account: by.Account, ARN: entityARN(by.Account, kindUser, "/", "simulated")}
	return s.simulate(ctx, m, in.Simulated, in.PolicyInputList)
}

// SimulatePrincipalPolicy says what the policies of a user, a group or a role of the
// caller's account decide. Faults: AccessDenied, NoSuchEntity, InvalidInput.
func (s *Service) SimulatePrincipalPolicy(ctx context.Context, by Caller, in SimulatePrincipalPolicy) (Simulation, error) {
	if err := s.may(ctx, by, "SimulatePrincipalPolicy", in.PolicySourceArn, nil); err != nil {
		return Simulation{}, err
	}
	m := &simulation{account: by.Account, sources: map[string]source{}, places: map[*policy.Document][][2]policy.Position{}}
	if err := s.simulated(ctx, m, in.PolicySourceArn); err != nil {
		return Simulation{}, err
	}
	return s.simulate(ctx, m, in.Simulated, in.PolicyInputList)
}

// simulate decides page by page. Fault: InvalidInput.
func (s *Service) simulate(ctx context.Context, m *simulation, in Simulated, more []string) (Simulation, error) {
	out := Simulation{EvaluationResults: []EvaluationResult{}}
	if err := s.prepare(ctx, m, in, more); err != nil {
		return out, err
	}
	m.rights = policy.NewRights(m.config)
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	position, err := in.after("simulation")
	if err != nil {
		return out, err
	}
	first := 0
	if position != "" {
		if first, err = strconv.Atoi(position); err != nil || first < 0 {
			return out, fault.New(ValidationError, "Invalid Marker.")
		}
	}
	all, matched := len(in.ActionNames)*len(resources), 0
	for at := first; at < all; at++ {
		if at-first == in.size() || matched >= maxMatched {
			out.Page = Page{true, marker("simulation", strconv.Itoa(at))}
			return out, nil
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
		r, err := s.decideOne(m, in, in.ActionNames[at/len(resources)], resources[at%len(resources)])
		if err != nil {
			return out, err
		}
		out.EvaluationResults = append(out.EvaluationResults, r)
		matched += len(r.MatchedStatements)
	}
	return out, nil
}

// maxMatched is after how many statements a page ends: a megabyte of policies has twenty
// thousand, and may be asked for a thousand times.
const maxMatched = 10_000

// prepare adds what the request itself says.
func (s *Service) prepare(ctx context.Context, m *simulation, in Simulated, more []string) error {
	for i, text := range more {
		d, err := simulatedDocument(policy.Identity, text)
		if err != nil {
			return err
		}
		name := "PolicyInputList." + strconv.Itoa(i+1)
		m.config.Policies = append(m.config.Policies, policy.Attached{Name: name, Doc: d})
		m.sources[name] = source{name, "none", d}
	}
	for i, text := range in.PermissionsBoundaryPolicyInputList {
		d, err := simulatedDocument(policy.Identity, text)
		if err != nil {
			return err
		}
		name := "PermissionsBoundaryPolicyInputList." + strconv.Itoa(i+1)
		m.config.Boundary = &policy.Attached{Name: name, Doc: d}
		m.sources[name] = source{name, "none", d}
	}
	m.entries = policy.Values{}
	for _, e := range in.ContextEntries {
		m.entries[strings.ToLower(e.ContextKeyName)] = e.ContextKeyValues
	}
	for _, action := range in.ActionNames {
		if prefix, name, ok := strings.Cut(action, ":"); !ok || prefix == "" || name == "" || strings.ContainsAny(action, "*? ") {
			return fault.New(InvalidInput, "Invalid action: %s is not of the form service:Name.", action)
		}
	}
	for _, from := range m.sources {
		m.noteKeys(from.doc)
	}
	if in.CallerArn == "" {
		return nil
	}
	u, err := userByARN(ctx, s, in.CallerArn)
	if err != nil {
		return err
	}
	if u == nil || u.Account != m.account {
		return fault.New(InvalidInput, "Invalid caller arn: %s is not a user of this account.", in.CallerArn)
	}
	p := Principal{Type: IAMUser, Account: u.Account, ARN: u.arn(), PrincipalID: u.ID, UserName: u.Name}
	m.who, m.caller = questioned(&p), Caller{Principal: p}
	return nil
}

// simulatedDocument parses a document of the request. Fault: InvalidInput.
func simulatedDocument(kind policy.Kind, text string) (*policy.Document, error) {
	d, err := policy.Parse(kind, "", text)
	if f, ok := fault.As(err); ok {
		return nil, fault.New(InvalidInput, "%s", f.Message).Because(err)
	}
	return d, err
}

// decideOne simulates one action on one resource.
func (s *Service) decideOne(m *simulation, in Simulated, action, resource string) (EvaluationResult, error) {
	out := EvaluationResult{EvalActionName: action, EvalResourceName: resource}
	q := policy.Question{
		Principal: m.who, Action: action, Resource: resource, Owner: ownerOf(resource, in.ResourceOwner, m.account),
		Rights: m.rights, Context: simulatedFacts{m, &facts{by: m.caller, region: s.cfg.Region}},
	}
	if in.ResourcePolicy != "" {
		kind := policy.Bucket
		switch {
		case strings.HasPrefix(resource, "arn:aws:kms:"):
			kind, q.Decides = policy.Key, true
		case strings.HasPrefix(resource, "arn:aws:iam:"):
			kind, q.Decides = policy.Trust, true
		}
		var err error
		if q.Policy, err = m.resourcePolicy(kind, in.ResourcePolicy); err != nil {
			return out, err
		}
	}
	x := policy.Explain(&q)
	for _, key := range x.Missing {
		if written, ok := m.written[key]; ok {
			key = written
		}
		out.MissingContextValues = append(out.MissingContextValues, key)
	}
	switch {
	case x.Allowed:
		out.EvalDecision = "allowed"
	case x.Explicit:
		out.EvalDecision = "explicitDeny"
	default:
		out.EvalDecision = "implicitDeny"
	}
	out.MatchedStatements = []MatchedStatement{}
	for _, match := range x.Matched {
		from := m.sources[match.Policy]
		if match.Layer == policy.ByResource {
			from = source{"ResourcePolicy", "resource", q.Policy}
		}
		out.MatchedStatements = append(out.MatchedStatements, m.matched(from, match.Index))
	}
	if m.config.Boundary != nil {
		alone := policy.RightsConfig{Policies: []policy.Attached{*m.config.Boundary}}
		if m.config.Boundary.Doc == nil {
			alone.Policies = nil
		}
		out.PermissionsBoundaryDecisionDetail = &ByPermissionsBoundary{m.alone(q, alone)}
	}
	if m.config.Controls != nil {
		out.OrganizationsDecisionDetail = &ByOrganizations{m.alone(q, policy.RightsConfig{Policies: everything(), Controls: m.config.Controls})}
	}
	return out, nil
}

// resourcePolicy parses the resource's policy, once for each kind of resource. Fault:
// InvalidInput.
func (m *simulation) resourcePolicy(kind policy.Kind, text string) (*policy.Document, error) {
	if d := m.parsed[kind]; d != nil {
		return d, nil
	}
	d, err := simulatedDocument(kind, text)
	if err != nil {
		return nil, err
	}
	if m.parsed == nil {
		m.parsed = map[policy.Kind]*policy.Document{}
	}
	m.parsed[kind] = d
	m.noteKeys(d)
	return d, nil
}

// noteKeys notes how a policy writes its condition keys: they are told apart without
// regard to case, and missing ones are told in lower case.
func (m *simulation) noteKeys(d *policy.Document) {
	if d == nil {
		return
	}
	if m.written == nil {
		m.written = map[string]string{}
	}
	for _, st := range d.Statements() {
		for _, c := range st.Conditions {
			m.written[strings.ToLower(c.Key)] = c.Key
		}
	}
}

// alone decides by some rights and nothing else.
func (m *simulation) alone(q policy.Question, c policy.RightsConfig) bool {
	q.Rights, q.Policy, q.Decides, q.Owner = policy.NewRights(c), nil, false, m.account
	return policy.Decide(&q).Allowed
}

// everything is a policy that allows everything.
func everything() []policy.Attached {
	d, err := policy.Parse(policy.Identity, "", allowEverything)
	if err != nil {
		panic("iam: " + err.Error())
	}
	return []policy.Attached{{Name: "everything", Doc: d}}
}

// matched says where a statement stands.
func (m *simulation) matched(from source, index int) MatchedStatement {
	out := MatchedStatement{SourcePolicyId: from.id, SourcePolicyType: from.kind}
	if from.doc == nil {
		return out
	}
	places, ok := m.places[from.doc]
	if !ok {
		places = from.doc.Positions()
		m.places[from.doc] = places
	}
	out.StartPosition, out.EndPosition = Position(places[index][0]), Position(places[index][1])
	return out
}

// ownerOf returns the account of a resource: that in its ARN, or else the one that the
// request names, or else the caller's.
func ownerOf(resource, named, otherwise string) string {
	if a, ok := aws.ParseARN(resource); ok && aws.ValidAccount(a.Account) {
		return a.Account
	}
	if a, ok := aws.ParseARN(named); ok && aws.ValidAccount(a.Account) {
		return a.Account
	}
	if aws.ValidAccount(named) {
		return named
	}
	return otherwise
}

// simulatedFacts are the condition keys that the request gives, and behind them those
// that follow from whose policies are simulated, and the time.
type simulatedFacts struct {
	*simulation
	known *facts
}

// Values is policy.Context's.
func (f simulatedFacts) Values(key string) ([]string, bool) {
	if values, ok := f.entries[key]; ok {
		return values, true
	}
	switch key {
	case "aws:currenttime", "aws:epochtime":
		return f.known.Values(key)
	}
	if f.caller.Type == "" || !strings.HasPrefix(key, "aws:principal") && key != "aws:userid" && key != "aws:username" {
		return nil, false
	}
	return f.known.Values(key)
}
