// The Go part of the test: see README.md one folder up.
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"reflect"
	"time"

	"github.com/nyrodb/nyro/bindings/go"
)

type large struct {
	ID       string         `nyro:"_id"`
	Small    int            `nyro:"small"`
	Negative int            `nyro:"negative"`
	Big      int64          `nyro:"big"`
	Huge     uint64         `nyro:"huge"`
	Float    float64        `nyro:"float"`
	Text     string         `nyro:"text"`
	Bytes    []byte         `nyro:"bytes"`
	When     time.Time      `nyro:"when"`
	List     []any          `nyro:"list"`
	Map      map[string]any `nyro:"map"`
}

type small struct {
	ID     string `nyro:"_id"`
	N      int    `nyro:"n"`
	Square int    `nyro:"square"`
}

func largeOf(language string) large {
	return large{
		ID:       language,
		Small:    42,
		Negative: -7,
		Big:      math.MaxInt64,
		Huge:     math.MaxUint64,
		Float:    1.5,
		Text:     "h\u00e9llo \u2713 \U0001f600",
		Bytes:    []byte{0, 255},
		When:     time.Date(2020, 2, 3, 4, 5, 6, 789_000_000, time.UTC),
		List:     []any{int64(1), "two", nil, true},
		Map:      map[string]any{"a": map[string]any{"b": []any{}}},
	}
}

func smallOf(language string, n int) small {
	return small{ID: fmt.Sprintf("%s-%d", language, n), N: n, Square: n * n}
}

func check(err error) {
	if err != nil {
		log.Fatal("go: ", err)
	}
}

func read[T any](db *nyro.DB, id string, wanted T) {
	found, ok, err := nyro.CollectionOf[T](db, "interop").Get(id)
	check(err)
	if !ok || !reflect.DeepEqual(found, wanted) {
		log.Fatalf("go: %s is %+v, not %+v", id, found, wanted)
	}
}

func main() {
	path, verb, languages := os.Args[1], os.Args[2], os.Args[3:]
	db, err := nyro.Open(path, nil)
	check(err)
	before := languages
	if verb == "write" {
		before = languages[1:]
	}
	for _, language := range before {
		read(db, language, largeOf(language))
		for n := range 100 {
			document := smallOf(language, n)
			read(db, document.ID, document)
		}
	}
	if verb == "write" {
		ctx := context.Background()
		_, err := nyro.CollectionOf[large](db, "interop").InsertOne(ctx, largeOf(languages[0]))
		check(err)
		for n := range 100 {
			_, err := nyro.CollectionOf[small](db, "interop").InsertOne(ctx, smallOf(languages[0], n))
			check(err)
		}
	}
	check(db.Close())
}
