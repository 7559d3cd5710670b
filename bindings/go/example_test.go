//go:build cgo

package nyro_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

// Person is a document.
type Person struct {
	ID   int64  `nyro:"_id"`
	Name string `nyro:"name"`
	Born int    `nyro:"born,omitempty"`
}

// openExample opens a database in a new folder; remove takes it away.
func openExample() (db *nyro.DB, remove func()) {
	folder, err := os.MkdirTemp("", "nyro")
	if err != nil {
		log.Fatal(err)
	}
	db, err = nyro.Open(filepath.Join(folder, "app.nyro"), nil)
	if err != nil {
		log.Fatal(err)
	}
	return db, func() {
		db.Close()
		os.RemoveAll(folder)
	}
}

func Example() {
	db, remove := openExample() // nyro.Open("app.nyro", nil)
	defer remove()
	ctx := context.Background()

	people := nyro.CollectionOf[Person](db, "people")
	if _, err := people.Put(ctx, Person{ID: 1, Name: "Ada", Born: 1815}); err != nil {
		log.Fatal(err)
	}
	ada, found, err := people.Get(1)
	fmt.Println(ada, found, err)
	// Output: {1 Ada 1815} true <nil>
}

func ExampleDB_Update() {
	db, remove := openExample()
	defer remove()
	ctx := context.Background()
	people := nyro.CollectionOf[Person](db, "people")

	// All of it, or none of it.
	err := db.Update(ctx, func(tx *nyro.Tx) error {
		in := people.In(tx)
		if _, err := in.Put(Person{ID: 1, Name: "Ada"}); err != nil {
			return err
		}
		_, err := in.InsertOne(Person{ID: 1, Name: "Grace"})
		return err
	})
	n, _ := people.CountDocuments()
	fmt.Println(errors.Is(err, nyro.ErrDuplicateID), n)
	// Output: true 0
}

func ExampleDB_View() {
	db, remove := openExample()
	defer remove()
	ctx := context.Background()
	people := nyro.CollectionOf[Person](db, "people")
	people.Put(ctx, Person{ID: 1, Name: "Ada"})

	err := db.View(func(s *nyro.Snapshot) error {
		// The snapshot stands still, whatever is written meanwhile.
		people.Put(ctx, Person{ID: 1, Name: "Augusta"})
		ada, _, err := people.At(s).Get(1)
		if err != nil {
			return err
		}
		// These bytes lie in the database's own memory; they are valid until the function returns.
		raw, err := people.At(s).GetRaw(1)
		fmt.Println(ada.Name, len(raw) > 0)
		return err
	})
	fmt.Println(err)
	// Output:
	// Ada true
	// <nil>
}

func ExampleCollection_All() {
	db, remove := openExample()
	defer remove()
	people := nyro.CollectionOf[Person](db, "people")
	people.InsertMany(context.Background(), []Person{{ID: 3, Name: "Ada"}, {ID: 1, Name: "Grace"}}, nil)

	for person, err := range people.All() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(person.Name)
	}
	// Output:
	// Ada
	// Grace
}

func ExampleCollection_Scan() {
	db, remove := openExample()
	defer remove()
	people := nyro.CollectionOf[Person](db, "people")
	people.InsertMany(context.Background(), []Person{{ID: 1, Name: "Ada"}, {ID: 2, Name: "Grace"}}, nil)

	scan := people.Scan(0)
	defer scan.Close()
	for person := range scan.All() {
		fmt.Println(person.Name)
		break
	}
	// Later, perhaps in another process: go on where it stopped.
	for person := range people.Scan(scan.Token()).All() {
		fmt.Println(person.Name)
	}
	// Output:
	// Ada
	// Grace
}

func ExampleCollection_InsertMany() {
	db, remove := openExample()
	defer remove()
	people := nyro.CollectionOf[Person](db, "people")

	_, err := people.InsertMany(context.Background(), []Person{{ID: 1}, {ID: 1}, {ID: 2}},
		&nyro.InsertManyOptions{Unordered: true})
	var bulk *nyro.BulkError
	if errors.As(err, &bulk) {
		fmt.Println(bulk.Inserted, bulk.Failures[0].Index, errors.Is(err, nyro.ErrDuplicateID))
	}
	// Output: 2 1 true
}

func ExampleDB_Collection() {
	db, remove := openExample()
	defer remove()

	things := db.Collection("things") // documents without a type of their own
	id, err := things.Put(context.Background(), nyro.M{"name": "lamp", "size": []any{10, 2.5}})
	if err != nil {
		log.Fatal(err)
	}
	lamp, _, err := things.Get(id)
	fmt.Println(id, lamp["name"], lamp["size"], err)
	// Output: 1 lamp [10 2.5] <nil>
}

func ExampleKeyspace() {
	db, remove := openExample()
	defer remove()
	ctx := context.Background()

	words := db.Keyspace("words")
	err := words.Write(ctx,
		nyro.PutKey([]byte("b"), []byte("2")), nyro.PutKey([]byte("a"), []byte("1")), nyro.PutKey([]byte("ab"), []byte("12")))
	if err != nil {
		log.Fatal(err)
	}
	for entry, err := range words.Prefix([]byte("a")) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %s\n", entry.Key, entry.Value)
	}
	// Output:
	// a 1
	// ab 12
}

func ExampleKeyCursor_Seek() {
	db, remove := openExample()
	defer remove()
	ctx := context.Background()
	words := db.Keyspace("words")
	for _, key := range []string{"a", "b", "d"} {
		if err := words.Put(ctx, []byte(key), nil); err != nil {
			log.Fatal(err)
		}
	}

	cursor := words.Cursor(nyro.Range{})
	defer cursor.Close()
	if err := cursor.Seek([]byte("c")); err != nil {
		log.Fatal(err)
	}
	entry, found, err := cursor.Next()
	fmt.Println(string(entry.Key), found, err)
	// Output: d true <nil>
}
