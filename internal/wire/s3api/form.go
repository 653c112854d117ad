// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// Kinds of fault of a browser's form.
const (
	// NotAForm: the request is of another type than multipart/form-data. Detail
	// Condition.
	NotAForm fault.Kind = "s3api: not a form"
	// MalformedForm: the body is not what its type says.
	MalformedForm fault.Kind = "s3api: malformed form"
	// FieldsTooLarge: there is too much before the file. Detail
	// MaxPostPreDataLengthBytes.
	FieldsTooLarge fault.Kind = "s3api: form fields too large"
)

const (
	// maxFields bounds what comes before the file (S3, "HTML form fields").
	maxFields = 20 << 10
	// maxFieldCount bounds how many fields that may be.
	maxFieldCount = 256
	// readAhead is the most that a multipart.Reader reads beyond what it gives out.
	readAhead = 4 << 10
	// maxBoundary is the longest boundary (RFC 2046, section 5.1.1).
	maxBoundary = 70
)

// fileField is the field that is the object. Whatever comes behind it is ignored.
const fileField = "file"

// postForm is a browser's form (RFC 7578), read as far as the file in it.
type postForm struct {
	fields []formField
	file   io.Reader // its end is that of the part, not of the body
}

// formField is a field of a form; its name as it came.
type formField struct{ name, value string }

// lookup returns the value of a field. Names are the same in upper and lower case.
func (f *postForm) lookup(name string) (value string, present bool) {
	for _, field := range f.fields {
		if strings.EqualFold(field.name, name) {
			return field.value, true
		}
	}
	return "", false
}

// value is lookup where an empty field is as good as none.
func (f *postForm) value(name string) string {
	v, _ := f.lookup(name)
	return v
}

// Authentication implements pipeline.Form.
func (f *postForm) Authentication() sigv4.PostForm {
	return sigv4.PostForm{
		Policy: f.value("policy"), Algorithm: f.value("x-amz-algorithm"), Credential: f.value("x-amz-credential"),
		Date: f.value("x-amz-date"), Signature: f.value("x-amz-signature"), SecurityToken: f.value("x-amz-security-token"),
		V2: f.value("signature") != "" && f.value("awsaccesskeyid") != "",
	}
}

// readForm reads a form as far as its file. Faults: NotAForm, MalformedForm,
// FieldsTooLarge, InvalidArgument for a form without a file, and those of the body.
func readForm(c *pipeline.Call, body io.Reader) (pipeline.Form, error) {
	boundary, err := formBoundary(c.Header("Content-Type"))
	if err != nil {
		return nil, err
	}
	front := &limited{src: body, left: maxFields + readAhead}
	parts := multipart.NewReader(front, boundary)
	f := new(postForm)
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return nil, invalidArgument(fileField, "0", "POST requires exactly one file upload per request.")
		}
		if err != nil {
			return nil, formError(err)
		}
		name, fileName, err := disposition(part)
		if err != nil {
			return nil, err
		}
		if strings.EqualFold(name, fileField) {
			front.left = unlimited
			f.file = formFile{part}
			return f, f.finish(fileName)
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, formError(err)
		}
		if err := f.add(name, string(value)); err != nil {
			return nil, err
		}
	}
}

// formBoundary reads what separates the parts from the type of a form.
func formBoundary(contentType string) (string, error) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if kind != "multipart/form-data" {
		return "", fault.New(NotAForm, "").With("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
	}
	boundary := parameters["boundary"]
	if err != nil || boundary == "" || len(boundary) > maxBoundary {
		return "", malformedForm(fmt.Errorf("the boundary is %.100q: %v", boundary, err))
	}
	return boundary, nil
}

// disposition returns the name of a part, and that of its file: nil if it has none,
// which is another thing than an empty one.
func disposition(part *multipart.Part) (name string, fileName *string, err error) {
	kind, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	name = parameters["name"]
	if err != nil || kind != "form-data" || name == "" || !utf8.ValidString(name) {
		return "", nil, malformedForm(errors.New("a part that is no field"))
	}
	if given, ok := parameters["filename"]; ok {
		// Some browsers send the path on the user's machine, with its separators.
		given = given[strings.LastIndexAny(given, `/\`)+1:]
		fileName = &given
	}
	return name, fileName, nil
}

// add adds a field. The values of fields of one name are one list.
func (f *postForm) add(name, value string) error {
	if !utf8.ValidString(value) {
		return malformedForm(fmt.Errorf("field %q is not UTF-8", name))
	}
	for i := range f.fields {
		if strings.EqualFold(f.fields[i].name, name) {
			f.fields[i].value += "," + value
			return nil
		}
	}
	if len(f.fields) == maxFieldCount {
		return fieldsTooLarge()
	}
	f.fields = append(f.fields, formField{name, value})
	return nil
}

// finish puts the name of the file in for the variable that stands for it. Where
// the file has no name, not even an empty one, S3 leaves the variable as it is.
func (f *postForm) finish(fileName *string) error {
	const variable = "${filename}"
	if fileName != nil && !utf8.ValidString(*fileName) {
		return malformedForm(errors.New("the name of the file is not UTF-8"))
	}
	total := 0
	for i := range f.fields {
		field := &f.fields[i]
		total += len(field.name) + len(field.value)
		if fileName != nil {
			total += strings.Count(field.value, variable) * (len(*fileName) - len(variable))
		}
		if total > maxFields {
			return fieldsTooLarge()
		}
		if fileName != nil {
			field.value = strings.ReplaceAll(field.value, variable, *fileName)
		}
	}
	return nil
}

func malformedForm(cause error) error { return fault.New(MalformedForm, "").Because(cause) }

func fieldsTooLarge() error {
	return fault.New(FieldsTooLarge, "").With("MaxPostPreDataLengthBytes", fmt.Sprint(maxFields))
}

// formError names what broke off a form. A fault of the body's own stays.
func formError(err error) error {
	if f, ok := fault.As(err); ok {
		return f
	}
	return malformedForm(err)
}

// unlimited lets a limited reader read to the end.
const unlimited = -1

// limited reads no more than left bytes and then fails with FieldsTooLarge.
type limited struct {
	src  io.Reader
	left int // or unlimited
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left == unlimited {
		return l.src.Read(p)
	}
	if l.left == 0 {
		return 0, fieldsTooLarge()
	}
	n, err := l.src.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// formFile is the file of a form. Without the boundary that ends it, it is not
// whole.
type formFile struct{ part *multipart.Part }

func (f formFile) Read(p []byte) (int, error) {
	n, err := f.part.Read(p)
	if err != nil && err != io.EOF {
		err = formError(err)
	}
	return n, err
}
