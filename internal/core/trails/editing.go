// SPDX-License-Identifier: Apache-2.0

package trails

import "slices"

// CheckSelectors reads the selectors of a request, as PutEventSelectors would take them.
// Fault: InvalidSelectors.
func CheckSelectors(in PutEventSelectors) ([]EventSelector, []AdvancedSelector, error) {
	return checkSelectors(in)
}

// Selectors returns the trail's selectors as GetEventSelectors has them, of one kind:
// without any, the one that says what the trail does then.
func (t *Trail) Selectors() ([]BasicEventSelector, []AdvancedEventSelector) {
	shown := new(Service).selectors(t)
	return shown.EventSelectors, shown.AdvancedEventSelectors
}

// AddObjects returns a request that chooses what the trail chooses, and besides the data
// events of all objects of a bucket. The trail itself is not changed. Fault:
// InvalidSelectors, when a trail cannot have so many.
func (t *Trail) AddObjects(trailARN, bucketARN string) (PutEventSelectors, error) {
	in := PutEventSelectors{TrailName: trailARN}
	in.EventSelectors, in.AdvancedEventSelectors = t.Selectors()
	if in.AdvancedEventSelectors != nil {
		in.AdvancedEventSelectors = append(slices.Clone(in.AdvancedEventSelectors), AdvancedEventSelector{
			Name: "S3 data events of " + bucketARN,
			FieldSelectors: []AdvancedFieldSelector{
				{Field: fieldCategory, Equals: []string{"Data"}},
				{Field: fieldResource, Equals: []string{objectType}},
				{Field: fieldARN, StartsWith: []string{bucketARN + "/"}},
			},
		})
	} else {
		in.EventSelectors = slices.Clone(in.EventSelectors)
		data := DataResource{Type: objectType, Values: []string{bucketARN + "/"}}
		i := slices.IndexFunc(in.EventSelectors, func(e BasicEventSelector) bool { return e.ReadWriteType == all || e.ReadWriteType == "" })
		if i < 0 {
			no := false
			in.EventSelectors = append(in.EventSelectors, BasicEventSelector{ReadWriteType: all, IncludeManagementEvents: &no})
			i = len(in.EventSelectors) - 1
		}
		e := &in.EventSelectors[i]
		e.DataResources = append(slices.Clone(e.DataResources), data)
	}
	_, _, err := checkSelectors(in)
	return in, err
}
