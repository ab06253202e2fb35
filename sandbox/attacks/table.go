package attacks

import (
	"fmt"
	"strings"
)

// Row is what is known of one attack.
type Row struct {
	Attack  Attack
	Control string   // what the control showed
	Columns []string // what each runtime's sandboxes showed
}

// Table returns the rows as a table in Markdown; runtimes head the columns.
func Table(runtimes []string, rows []Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| attack | language | what it tries | control | %s |\n", strings.Join(runtimes, " | "))
	fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", 4+len(runtimes)))
	for _, r := range rows {
		cells := append([]string{r.Attack.Name, r.Attack.Language, r.Attack.Tries, r.Control}, r.Columns...)
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	return b.String()
}
