// The quick start in Go: open, put, get, a transaction, a snapshot, a scan, errors. Run it with
// `make test-go-example`, or in this folder with `go run . app.nyro` after `make go-lib`.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

// User is a document: its fields are called as their tags say.
type User struct {
	ID     int64    `nyro:"_id"`
	Name   string   `nyro:"name"`
	Born   int      `nyro:"born"`
	Skills []string `nyro:"skills,omitempty"`
}

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

	// One document in, and out again by its id.
	users := nyro.CollectionOf[User](db, "users")
	if _, err := users.Put(ctx, User{ID: 1, Name: "Ada", Born: 1815, Skills: []string{"mathematics"}}); err != nil {
		return err
	}
	ada, found, err := users.Get(1)
	if err != nil {
		return err
	}
	fmt.Println("found:", found, ada.Name, ada.Born)

	// A transaction: all of it, or none of it.
	err = db.Update(ctx, func(tx *nyro.Tx) error {
		in := users.In(tx)
		if _, err := in.InsertOne(User{ID: 2, Name: "Grace", Born: 1906}); err != nil {
			return err
		}
		_, err := in.InsertOne(User{ID: 1, Name: "Augusta"})
		return err
	})
	fmt.Println("duplicate:", errors.Is(err, nyro.ErrDuplicateID))

	// A snapshot stands still while others write.
	err = db.View(func(s *nyro.Snapshot) error {
		if _, err := users.Put(ctx, User{ID: 3, Name: "Katherine", Born: 1918}); err != nil {
			return err
		}
		before, err := users.At(s).CountDocuments()
		if err != nil {
			return err
		}
		now, err := users.CountDocuments()
		fmt.Println("then and now:", before, now)
		return err
	})
	if err != nil {
		return err
	}

	// A scan reads all documents, in the order they were last written.
	for user, err := range users.All() {
		if err != nil {
			return err
		}
		fmt.Println("user:", user.ID, user.Name)
	}
	return db.Close()
}
