package main

import (
	"context"
	"path/filepath"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

type nyroStore struct {
	db     *nyro.DB
	people *nyro.Collection[Person]
}

func (s *nyroStore) name() string { return "NyroDB" }

func (s *nyroStore) open(folder string) (err error) {
	s.db, err = nyro.Open(filepath.Join(folder, "app.nyro"), &nyro.Options{Durability: nyro.Manual})
	if err == nil {
		s.people = nyro.CollectionOf[Person](s.db, "people")
	}
	return err
}

func (s *nyroStore) insert(people []Person) error {
	_, err := s.people.InsertMany(context.Background(), people, nil)
	return err
}

func (s *nyroStore) get(id int64) (Person, error) {
	p, _, err := s.people.Get(id)
	return p, err
}

func (s *nyroStore) getAll(ids []int64, each func(*Person)) error {
	return s.db.View(func(snapshot *nyro.Snapshot) error {
		people := s.people.At(snapshot)
		for _, id := range ids {
			p, _, err := people.Get(id)
			if err != nil {
				return err
			}
			each(&p)
		}
		return nil
	})
}

func (s *nyroStore) scan(each func(*Person)) error {
	for p, err := range s.people.All() {
		if err != nil {
			return err
		}
		each(&p)
	}
	return nil
}

func (s *nyroStore) put(p *Person) error {
	_, err := s.people.Put(context.Background(), *p)
	return err
}

func (s *nyroStore) close() error { return s.db.Close() }
