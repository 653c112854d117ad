// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"reflect"
	"slices"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// recorded returns the members of a request or result as audit records have them, by
// their names in lower camel case, or nil when there are none. Secrets are left out,
// and so is what is empty.
func recorded(message any) map[string]any {
	p := map[string]any{}
	record(reflect.ValueOf(message), p)
	if len(p) == 0 {
		return nil
	}
	return p
}

func record(v reflect.Value, into map[string]any) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Anonymous:
			record(v.Field(i), into)
		case !f.IsExported() || f.Type == secretType || v.Field(i).IsZero() || readRules(f.Tag.Get("api")).secret:
		default:
			into[lowerFirst(f.Name)] = member(v.Field(i))
		}
	}
}

// noteRole notes the role whose session a call asks for.
func noteRole(c *pipeline.Call, in any) {
	var arn string
	switch in := in.(type) {
	case iam.AssumeRole:
		arn = in.RoleArn
	case iam.AssumeRoleWithWebIdentity:
		arn = in.RoleArn
	}
	if account := accountOf(arn); account != "" {
		c.AuditResource(audit.Resource{AccountID: account, Type: "AWS::IAM::Role", ARN: arn})
	}
}

func accountOf(arn string) string {
	a, _ := aws.ParseARN(arn)
	return a.Account
}

func member(v reflect.Value) any {
	if v.Type() == timeType {
		return v.Interface().(time.Time).UTC()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return member(v.Elem())
	case reflect.Struct:
		m := map[string]any{}
		record(v, m)
		return m
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = member(v.Index(i))
		}
		return list
	}
	if v.Kind() == reflect.String {
		return audit.WithoutPassword(v.String())
	}
	return v.Interface()
}

// clearSecrets clears the secrets of a result, at any depth of structs and pointers.
func clearSecrets(message any) { clearIn(reflect.ValueOf(message)) }

func clearIn(v reflect.Value) {
	switch {
	case v.Type() == secretType:
		v.Interface().(secret.Bytes).Clear()
	case v.Kind() == reflect.Pointer && !v.IsNil():
		clearIn(v.Elem())
	case v.Kind() == reflect.Struct && v.Type() != timeType:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				clearIn(v.Field(i))
			}
		}
	}
}

func sortedKeys(v reflect.Value) []string {
	keys := make([]string, 0, v.Len())
	for _, k := range v.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	return keys
}
