// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"encoding/json"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/fault"
)

// Selectors as the AWS CLI reads and prints them: without what is empty.
type (
	selectorsText struct {
		TrailName              string         `json:",omitempty"`
		TrailARN               string         `json:",omitempty"`
		EventSelectors         []basicText    `json:",omitempty"`
		AdvancedEventSelectors []advancedText `json:",omitempty"`
	}
	basicText struct {
		ReadWriteType                 string
		IncludeManagementEvents       *bool
		DataResources                 []dataText `json:",omitempty"`
		ExcludeManagementEventSources []string   `json:",omitempty"`
	}
	dataText struct {
		Type   string
		Values []string
	}
	advancedText struct {
		Name           string `json:",omitempty"`
		FieldSelectors []fieldText
	}
	fieldText struct {
		Field         string
		Equals        []string `json:",omitempty"`
		StartsWith    []string `json:",omitempty"`
		EndsWith      []string `json:",omitempty"`
		NotEquals     []string `json:",omitempty"`
		NotStartsWith []string `json:",omitempty"`
		NotEndsWith   []string `json:",omitempty"`
	}
)

// selectorsJSON is the request as aws cloudtrail put-event-selectors --cli-input-json
// takes it.
func selectorsJSON(in trails.PutEventSelectors) json.RawMessage {
	out := selectorsText{TrailName: in.TrailName}
	for _, s := range in.EventSelectors {
		b := basicText{ReadWriteType: s.ReadWriteType, IncludeManagementEvents: s.IncludeManagementEvents, ExcludeManagementEventSources: s.ExcludeManagementEventSources}
		for _, d := range s.DataResources {
			b.DataResources = append(b.DataResources, dataText(d))
		}
		out.EventSelectors = append(out.EventSelectors, b)
	}
	for _, s := range in.AdvancedEventSelectors {
		a := advancedText{Name: s.Name}
		for _, f := range s.FieldSelectors {
			a.FieldSelectors = append(a.FieldSelectors, fieldText(f))
		}
		out.AdvancedEventSelectors = append(out.AdvancedEventSelectors, a)
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil // it holds nothing that does not encode
	}
	return b
}

// trailOf reads what aws cloudtrail get-event-selectors prints.
func (s *selectorsText) trailOf() (Consumer, error) {
	arn, ok := aws.ParseARN(s.TrailARN)
	name, isTrail := strings.CutPrefix(arn.Resource, "trail/")
	if !ok || arn.Service != "cloudtrail" || !isTrail {
		return Consumer{}, fault.New(Malformed, "it has no TrailARN")
	}
	c := Consumer{ARN: s.TrailARN, Trail: trails.Trail{Account: arn.Account, Name: name, Logging: true, Global: true}}
	for _, b := range s.EventSelectors {
		e := trails.EventSelector{ReadWriteType: b.ReadWriteType, Management: b.IncludeManagementEvents == nil || *b.IncludeManagementEvents, Exclude: b.ExcludeManagementEventSources}
		for _, d := range b.DataResources {
			e.Data = append(e.Data, trails.DataResource(d))
		}
		c.Basic = append(c.Basic, e)
	}
	for _, a := range s.AdvancedEventSelectors {
		selector := trails.AdvancedSelector{Name: a.Name}
		for _, f := range a.FieldSelectors {
			selector.Fields = append(selector.Fields, trails.FieldSelector{
				Field: f.Field, Equals: f.Equals, NotEquals: f.NotEquals, StartsWith: f.StartsWith, NotStartsWith: f.NotStartsWith,
				EndsWith: f.EndsWith, NotEndsWith: f.NotEndsWith,
			})
		}
		c.Advanced = append(c.Advanced, selector)
	}
	return c, nil
}
