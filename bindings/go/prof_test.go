package nyro_test

import (
	"fmt"
	"testing"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

type addr struct {
	Street string `nyro:"street"`
	Number int    `nyro:"number"`
	Zip    string `nyro:"zip"`
}
type pers struct {
	ID      int64    `nyro:"_id"`
	Name    string   `nyro:"name"`
	Email   string   `nyro:"email"`
	Age     int      `nyro:"age"`
	Score   float64  `nyro:"score"`
	Active  bool     `nyro:"active"`
	City    string   `nyro:"city"`
	Tags    []string `nyro:"tags"`
	Address addr  `nyro:"address"`
	Visits  int64    `nyro:"visits"`
}

func mk(i int) pers {
	return pers{ID: int64(i), Name: fmt.Sprintf("Person Number %d", i), Email: fmt.Sprintf("person%d@example.com", i),
		Age: 18 + i%60, Score: float64(i) * 1.25, Active: i%3 != 0, City: "Berlin", Tags: []string{"alpha", "beta", "gamma"}[:1+i%3],
		Address: addr{Street: "Long Street", Number: i % 200, Zip: "12345"}, Visits: int64(i) * 7}
}

func BenchmarkInsertMany(b *testing.B) {
	all := make([]pers, 100000)
	for i := range all {
		all[i] = mk(i)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		db := openNew(b)
		c := nyro.CollectionOf[pers](db, "c")
		for from := 0; from < len(all); from += 1000 {
			_, err := c.InsertMany(ctx, all[from:from+1000], nil)
			check(b, err)
			n += 1000
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/doc")
}

func BenchmarkPut(b *testing.B) {
	db := openNew(b)
	c := nyro.CollectionOf[pers](db, "c")
	p := mk(5)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		p.ID = int64(i % 100000)
		_, err := c.Put(ctx, p)
		check(b, err)
	}
}

func BenchmarkGet(b *testing.B) {
	db := openNew(b)
	c := nyro.CollectionOf[pers](db, "c")
	all := make([]pers, 100000)
	for i := range all {
		all[i] = mk(i)
	}
	_, err := c.InsertMany(ctx, all, nil)
	check(b, err)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % 100000
		_, _, err := c.Get(i)
		check(b, err)
	}
}

func BenchmarkScan(b *testing.B) {
	db := openNew(b)
	c := nyro.CollectionOf[pers](db, "c")
	all := make([]pers, 100000)
	for i := range all {
		all[i] = mk(i)
	}
	_, err := c.InsertMany(ctx, all, nil)
	check(b, err)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for _, err := range c.All() {
			check(b, err)
			n++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/doc")
}
