package history

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat/preheat/sandbox"
)

func TestAListHasWhatItsFilterSelects(t *testing.T) {
	s := open(t, Config{})
	for i, change := range []func(*Run){
		func(r *Run) { r.Language = "node" },
		func(r *Run) { r.Status = sandbox.Error },
		func(r *Run) { r.Code = "import NumPy" },
		func(r *Run) { r.Code = `100% of a_b\c` },
		func(r *Run) { r.Language, r.Status = "node", sandbox.Error },
	} {
		r := numbered(i)
		change(&r)
		s.Add(r)
	}
	at := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }
	for name, tt := range map[string]struct {
		filter Filter
		want   []int
	}{
		"everything":               {Filter{}, []int{4, 3, 2, 1, 0}},
		"a language":               {Filter{Language: "node"}, []int{4, 0}},
		"a status":                 {Filter{Status: sandbox.Error}, []int{4, 1}},
		"both":                     {Filter{Language: "node", Status: sandbox.OK}, []int{0}},
		"since, inclusive":         {Filter{Since: at(3)}, []int{4, 3}},
		"until, exclusive":         {Filter{Until: at(3)}, []int{2, 1, 0}},
		"a span":                   {Filter{Since: at(1), Until: at(2)}, []int{1}},
		"text in either case":      {Filter{Text: "numpy"}, []int{2}},
		"text with a percent sign": {Filter{Text: "0% o"}, []int{3}},
		"a percent sign alone":     {Filter{Text: "%"}, []int{3}},
		"an underscore":            {Filter{Text: "a_b"}, []int{3}},
		"an underscore, elsewhere": {Filter{Text: "f_a"}, nil},
		"a backslash":              {Filter{Text: `b\c`}, []int{3}},
		"text that is nowhere":     {Filter{Text: "no such"}, nil},
	} {
		var want []string
		for _, n := range tt.want {
			want = append(want, numbered(n).ID)
		}
		if diff := cmp.Diff(want, ids(t, s, tt.filter)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAListShowsTheBeginning(t *testing.T) {
	s := open(t, Config{})
	want := numbered(1)
	want.Code = strings.Repeat("é", 300)
	s.Add(want)
	want.Code = strings.Repeat("é", 200)
	want.Program, want.Answer = nil, nil
	page, err := s.List(t.Context(), Filter{})
	if diff := cmp.Diff(Page{Runs: []Run{want}}, page); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestPagesHaveALimit(t *testing.T) {
	s := open(t, Config{})
	for i := range MaxLimit + 5 {
		s.Add(numbered(i))
	}
	for limit, want := range map[int]int{0: DefaultLimit, -1: DefaultLimit, 1: 1, 7: 7, MaxLimit: MaxLimit, 5000: MaxLimit} {
		page, err := s.List(t.Context(), Filter{Limit: limit})
		if err != nil || len(page.Runs) != want || page.Next == "" {
			t.Errorf("at limit %d a page has %d runs, then %q, %v", limit, len(page.Runs), page.Next, err)
		}
	}
}

// Runs of one moment are the hard case: the cursor must fall between them.
func TestPagesStayAsTheyAreWhileRunsAreAdded(t *testing.T) {
	s := open(t, Config{})
	var want []string
	for i := range 30 {
		r := numbered(i)
		r.Time = epoch.Add(time.Duration(i/10) * time.Second)
		s.Add(r)
		want = append(want, r.ID)
	}
	slices.Reverse(want)
	var got []string
	for f := (Filter{Limit: 4}); ; {
		page, err := s.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Runs {
			got = append(got, r.ID)
		}
		if f.Before = page.Next; f.Before == "" {
			break
		}
		s.Add(numbered(100 + len(got)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCursorsThatNoPageGaveAreRefused(t *testing.T) {
	s := open(t, Config{})
	encode := base64.RawURLEncoding.EncodeToString
	for _, before := range []string{"x", "!", encode([]byte("12")), encode([]byte("a.b")), encode([]byte(".")), encode([]byte("99999999999999999999.a"))} {
		if _, err := s.List(t.Context(), Filter{Before: before}); !errors.Is(err, ErrCursor) {
			t.Errorf("%q is %v", before, err)
		}
	}
	r := numbered(1)
	r.ID = "a.b.c"
	if us, id, err := parseCursor(cursor(r)); us != r.Time.UnixMicro() || id != r.ID || err != nil {
		t.Errorf("the cursor is read as %d %q, %v", us, id, err)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor(numbered(1)))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		us, id, err := parseCursor(s)
		if err != nil {
			return
		}
		us2, id2, err := parseCursor(cursor(Run{ID: id, Time: fromMicros(us)}))
		if us2 != us || id2 != id || err != nil {
			t.Errorf("%q is %d %q, and then %d %q, %v", s, us, id, us2, id2, err)
		}
	})
}

// A list walks an index: it neither sorts nor looks at runs of another key.
func TestListsNeedNoSorting(t *testing.T) {
	s := open(t, Config{})
	for index, f := range map[string]Filter{
		"USING INDEX runs_by_time": {Scope: Scope{All: true}, Language: "python", Since: epoch},
		"USING INDEX runs_by_key":  {Scope: Scope{Key: "a"}, Status: sandbox.OK, Before: cursor(numbered(1))},
	} {
		where, args, err := f.where()
		if err != nil {
			t.Fatal(err)
		}
		rows, err := s.reader.Query("EXPLAIN QUERY PLAN SELECT * FROM runs"+where+" ORDER BY time DESC, id DESC", args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&plan, detail)
		}
		if err := rows.Err(); err != nil || !strings.Contains(plan.String(), index) || strings.Contains(plan.String(), "TEMP B-TREE") {
			t.Errorf("%v, the plan is %s", err, plan.String())
		}
	}
}
