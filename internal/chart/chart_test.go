// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"strings"
	"testing"
)

func TestTicks(t *testing.T) {
	for most, want := range map[int64]string{
		0: "[0 1]", 1: "[0 1]", 5: "[0 1 2 3 4 5]", 6: "[0 2 4 6]", 23: "[0 5 10 15 20 25]", 51: "[0 20 40 60]", 9999: "[0 2000 4000 6000 8000 10000]",
	} {
		if got := fmt.Sprint(Ticks(most)); got != want {
			t.Errorf("up to %d: %s, want %s", most, got, want)
		}
	}
	if last := Ticks(1 << 60); last[len(last)-1] < 1<<60 || len(last) > 6 {
		t.Errorf("%v", last)
	}
}

func TestTextIsEscaped(t *testing.T) {
	c := New(10, 10, `a"<b`)
	c.Text("v", 1.04, 2, End, "<script>&")
	c.Bar("m0", 0, 0, 1, 1, 2, "</title>")
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`aria-label="a&#34;&lt;b"`, `<text class="v" text-anchor="end" x="1" y="2">&lt;script&gt;&amp;</text>`, `rx="2"><title>&lt;/title&gt;</title></rect>`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}
