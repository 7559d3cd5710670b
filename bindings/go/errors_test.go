//go:build cgo

package nyro_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

// Numbers, names and kinds are those of docs/errors.md, all of them, and no others.
func TestErrorsAreThoseOfTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Skip("the table is in the repository, not in the package")
	}
	source, err := os.ReadFile("codes.go")
	check(t, err)
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| (\w+) \| ([^|]+) \|`).FindAllStringSubmatch(string(text), -1)
	if len(rows) < 35 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		number, err := strconv.Atoi(row[1])
		check(t, err)
		code := nyro.Code(number)
		if code.Name() != row[2] {
			t.Errorf("%d is called %s, not %s", number, code.Name(), row[2])
		}
		if kind := strings.TrimSpace(row[3]); !strings.Contains(kind, " ") && code.Kind().String() != kind {
			t.Errorf("%d is of kind %s, not %s", number, code.Kind(), kind)
		}
		if !regexp.MustCompile(`\tErr\w+ +Code = ` + row[1] + `\n`).Match(source) {
			t.Errorf("codes.go has no constant for %d", number)
		}
	}
	constants := regexp.MustCompile(`(?m)^\tErr\w+ +Code = \d+$`).FindAll(source, -1)
	if len(constants) != len(rows) {
		t.Errorf("%d constants for %d rows", len(constants), len(rows))
	}
	if nyro.Code(999).Name() != "Unknown" || nyro.Code(999).Kind() != nyro.KindInternal {
		t.Error("a number that is not known")
	}
}
