// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
)

// witness makes questions about a policy.
type witness struct {
	p       *parsed
	account string // of the key
	key     string
	objects []string          // contexts of objects
	vars    map[string]string // values of policy variables
	all     *policy.Document  // allows everything

	before, after *policy.Document // that are compared
	asked         int              // how many contexts were asked about
}

const (
	anyAccount  = "111122223333"
	anyKey      = "arn:aws:kms:us-east-1:" + anyAccount + ":key/1234abcd-12ab-34cd-56ef-1234567890ab"
	allowAll    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	witnessName = "witness"
)

func newWitness(p *parsed, t *target) *witness {
	w := &witness{p: p, key: cmp.Or(t.key, anyKey), vars: map[string]string{"aws:username": witnessName}}
	if p.Kind == KeyPolicy {
		w.key = p.ownKey(t.key)
	}
	arn, _ := aws.ParseARN(w.key)
	w.account = arn.Account
	w.all, _ = policy.Parse(policy.Identity, "", allowAll) // it is well-formed
	// Objects' keys have values of variables in them, which other conditions may name.
	w.findObjects(t)
	for i := range p.statements {
		w.context(&p.statements[i])
	}
	w.findObjects(t)
	return w
}

// ownKey returns the ARN of the key that a policy belongs to, as far as that can be told:
// files may have only its id, and then its statements may name it, or its account.
func (p *parsed) ownKey(asked string) string {
	isKey := func(arn string) bool {
		a, ok := aws.ParseARN(arn)
		return ok && a.Service == "kms" && !strings.ContainsAny(arn, "*?$")
	}
	if isKey(p.Resource) {
		return p.Resource
	}
	if isKey(asked) {
		return asked
	}
	account := ""
	for i := range p.statements {
		for _, v := range p.statements[i].node.get("Resource").strings() {
			if isKey(v) {
				return v
			}
		}
		for _, who := range principalsOf(p.statements[i].node.get("Principal")) {
			if a, ok := aws.ParseARN(who); ok && a.Service == "iam" && account == "" {
				account = a.Account
			} else if aws.ValidAccount(who) && account == "" {
				account = who
			}
		}
	}
	if !aws.ValidAccount(account) {
		return anyKey
	}
	return strings.Replace(anyKey, anyAccount, account, 1)
}

// findObjects makes contexts of objects: some for each value, and some others.
func (w *witness) findObjects(t *target) {
	w.objects = []string{t.prefix + "x", t.prefix + "zz/other.txt"}
	for i := range w.p.statements {
		for _, c := range w.p.statements[i].clauses {
			for _, v := range c.values.strings() {
				if !t.hits(v, c.kind, w.p.variables) {
					continue
				}
				w.learn(v, t)
				rest := v
				if _, after, ok := strings.Cut(v, "/"); ok {
					rest = after
				}
				key := w.instance(parsePattern(rest, c.kind.equal, w.p.variables))
				for _, object := range []string{t.prefix + key, w.instance(parsePattern(v, c.kind.equal, w.p.variables))} {
					if len(w.objects) < maxObjects && strings.HasPrefix(object, t.prefix) && !slices.Contains(w.objects, object) {
						w.objects = append(w.objects, object)
					}
				}
			}
		}
	}
}

// learn gives a variable in the place of the bucket's name the value that makes it so.
func (w *witness) learn(v string, t *target) {
	twin, ok := t.twin(v, w.p.variables)
	before, rest, variable := strings.Cut(twin, "${")
	name, after, closed := strings.Cut(rest, "}")
	if value, has := strings.CutPrefix(t.bucket, before); ok && variable && closed && has && strings.HasSuffix(value, after) {
		w.vars[variableName(name)] = strings.TrimSuffix(value, after)
	}
}

// variableName returns the condition key of a variable, which may have a default.
func variableName(name string) string {
	name, _, _ = strings.Cut(name, ",")
	return strings.ToLower(strings.TrimSpace(name))
}

// instance returns a text that a pattern matches.
func (w *witness) instance(p []token) string {
	var b strings.Builder
	for _, t := range p {
		switch t.kind {
		case 'c':
			b.WriteByte(t.c)
		case '$':
			name := variableName(t.name)
			if w.vars[name] == "" {
				w.vars[name] = witnessName
			}
			b.WriteString(w.vars[name])
		default:
			b.WriteByte('x')
		}
	}
	return b.String()
}

func (w *witness) parse(text string) (*policy.Document, error) {
	switch w.p.Kind {
	case KeyPolicy:
		return policy.Parse(policy.Key, w.key, text)
	case ServiceControl:
		return policy.Parse(policy.ServiceControl, "", text)
	}
	return policy.Parse(policy.Identity, "", text)
}

// principals returns those whom a statement is about, one of each sort.
func (w *witness) principals(s *statement) []policy.Principal {
	user := func(account string) policy.Principal {
		return policy.Principal{Type: policy.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/" + witnessName, ID: "AIDAWITNESS0000000001"}
	}
	who := s.node.get("Principal")
	if who == nil {
		return []policy.Principal{user(w.account)}
	}
	var out []policy.Principal
	for _, name := range principalsOf(who) {
		if name == "*" {
			out = append(out, user(w.account))
			continue
		}
		if aws.ValidAccount(name) {
			out = append(out, user(name))
			continue
		}
		if service, ok := strings.CutPrefix(name, "Service "); ok {
			out = append(out, policy.Principal{Type: policy.Service, ARN: service})
			continue
		}
		arn, ok := aws.ParseARN(name)
		kind, rest, _ := strings.Cut(arn.Resource, "/")
		switch last := rest[strings.LastIndexByte(rest, '/')+1:]; {
		case !ok:
		case arn.Resource == "root":
			out = append(out, user(arn.Account))
		case kind == "user":
			out = append(out, policy.Principal{Type: policy.User, Account: arn.Account, ARN: name, ID: "AIDAWITNESS0000000002"})
		case kind == "role":
			out = append(out, policy.Principal{Type: policy.AssumedRole, Account: arn.Account, RoleARN: name, ID: "AROAWITNESS0000000003",
				ARN: "arn:" + arn.Partition + ":sts::" + arn.Account + ":assumed-role/" + last + "/" + witnessName})
		case kind == "assumed-role":
			role, _, _ := strings.Cut(rest, "/")
			out = append(out, policy.Principal{Type: policy.AssumedRole, Account: arn.Account, ARN: name, ID: "AROAWITNESS0000000004",
				RoleARN: "arn:" + arn.Partition + ":iam::" + arn.Account + ":role/" + role})
		case kind == "federated-user":
			out = append(out, policy.Principal{Type: policy.FederatedUser, Account: arn.Account, ARN: name, ID: arn.Account + ":" + rest})
		}
	}
	return out
}

// resource returns a key that a statement may be about.
func (w *witness) resource(s *statement) string {
	if w.p.Kind == KeyPolicy || w.p.about(s, w.key) {
		return w.key
	}
	for _, v := range s.node.get("Resource").strings() {
		if p := parsePattern(v, false, w.p.variables); matchesSome(p, "arn:aws:kms:") {
			return w.instance(p)
		}
	}
	return w.key
}

// variants returns where a policy can stand: alone, and beside one that allows
// everything, so that its denials show.
func (w *witness) variants(who policy.Principal) []policy.Question {
	everything := policy.Attached{Name: "everything", Doc: w.all}
	owner := policy.Question{Owner: w.account, Principal: who}
	if w.p.Kind == KeyPolicy {
		owner.Decides = true
		with := owner
		with.Rights = policy.NewRights(policy.RightsConfig{Policies: []policy.Attached{everything}})
		return []policy.Question{owner, with}
	}
	return []policy.Question{owner, {Owner: w.account, Rights: policy.NewRights(policy.RightsConfig{Policies: []policy.Attached{everything}})}}
}

// decide asks a question of a document in a context.
func (w *witness) decide(q policy.Question, doc *policy.Document, base policy.Values, arn string) policy.Decision {
	q.Context = withARN(base, arn)
	if w.p.Kind == KeyPolicy {
		q.Policy = doc
		return policy.Decide(&q)
	}
	everything := policy.Attached{Name: "everything", Doc: w.all}
	this := policy.Attached{Name: w.p.Name, Doc: doc}
	beside := []policy.Attached{this}
	if q.Rights != nil {
		beside = append(beside, everything)
	}
	switch w.p.Kind {
	case Boundary:
		q.Rights = policy.NewRights(policy.RightsConfig{Policies: []policy.Attached{everything}, Boundary: &this})
	case ServiceControl:
		q.Rights = policy.NewRights(policy.RightsConfig{Policies: []policy.Attached{everything}, Controls: [][]policy.Attached{beside}})
	default:
		q.Rights = policy.NewRights(policy.RightsConfig{Policies: beside})
	}
	return policy.Decide(&q)
}

func withARN(base policy.Values, arn string) policy.Values {
	out := maps.Clone(base)
	out[contextKey] = []string{arn}
	return out
}
