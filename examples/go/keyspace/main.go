// Ordered keys in Go: a keyspace, ranges, a cursor, a transaction, a snapshot. Run it in examples/go with
// `go run ./keyspace app.nyro` after `make go-lib`.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

func main() {
	path := ":memory:" // a database that is gone when it is closed
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	if err := run(path); err != nil {
		log.Fatal(err)
	}
}

func run(path string) error {
	ctx := context.Background()
	db, err := nyro.Open(path, nil)
	if err != nil {
		return err
	}
	defer db.Close()

	// Keys and values are bytes. Numbers of a fixed width, the high byte first, sort as numbers do.
	readings := db.Keyspace("readings")
	if err := readings.Put(ctx, []byte("cellar/0900"), []byte("11.5")); err != nil {
		return err
	}
	// Several changes in one commit.
	err = readings.Write(ctx,
		nyro.PutKey([]byte("attic/1000"), []byte("20.5")),
		nyro.PutKey([]byte("attic/0900"), []byte("19.0")),
		nyro.PutKey([]byte("attic/1100"), []byte("22.0")))
	if err != nil {
		return err
	}

	// They come back in order.
	if err := expect("the attic", readings.Prefix([]byte("attic/")), 3, "attic/0900"); err != nil {
		return err
	}
	latest := nyro.Range{Prefix: []byte("attic/"), Backward: true, Limit: 2}
	if err := expect("the newest two", readings.Range(latest), 2, "attic/1100"); err != nil {
		return err
	}

	// A cursor goes to and fro.
	cursor := readings.Cursor(nyro.Range{})
	defer cursor.Close()
	if err := cursor.Seek([]byte("b")); err != nil {
		return err
	}
	entry, found, err := cursor.Next()
	if err != nil || !found || string(entry.Key) != "cellar/0900" {
		return fmt.Errorf("behind the attic there is %s (%v)", entry.Key, err)
	}
	fmt.Printf("behind the attic: %s = %s\n", entry.Key, entry.Value)

	return db.View(func(before *nyro.Snapshot) error {
		// Documents and keyspaces change together, or neither does.
		err := db.Update(ctx, func(tx *nyro.Tx) error {
			if _, err := tx.Collection("log").Put(nyro.M{"what": "the attic was cleared"}); err != nil {
				return err
			}
			return readings.In(tx).DeleteRange(nyro.Range{Prefix: []byte("attic/")})
		})
		if err != nil {
			return err
		}
		if err := expect("left", readings.All(), 1, "cellar/0900"); err != nil {
			return err
		}
		return expect("before", readings.At(before).All(), 4, "attic/0900")
	})
}

// expect shows entries, and checks how many there are and which is the first.
func expect(what string, entries func(func(nyro.KeyValue, error) bool), count int, first string) error {
	var keys []string
	for entry, err := range entries {
		if err != nil {
			return err
		}
		keys = append(keys, string(entry.Key))
	}
	fmt.Printf("%s: %q\n", what, keys)
	if len(keys) != count || keys[0] != first {
		return fmt.Errorf("%s: wanted %d keys from %s on", what, count, first)
	}
	return nil
}
