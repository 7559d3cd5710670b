package codec

import "fmt"

// Person is like the records of the benches: 177 bytes on average.
type Person struct {
	ID      int64    `nyro:"_id"`
	Name    string   `nyro:"name"`
	Email   string   `nyro:"email"`
	Age     int      `nyro:"age"`
	Score   float64  `nyro:"score"`
	Active  bool     `nyro:"active"`
	City    string   `nyro:"city"`
	Tags    []string `nyro:"tags"`
	Address Address  `nyro:"address"`
	Visits  int64    `nyro:"visits"`
}

// Address is a map inside a Person.
type Address struct {
	Street string `nyro:"street"`
	Number int    `nyro:"number"`
	Zip    string `nyro:"zip"`
}

func person(i int) Person {
	return Person{
		ID: int64(i), Name: fmt.Sprintf("Person Number %d", i), Email: fmt.Sprintf("person%d@example.com", i),
		Age: 18 + i%60, Score: float64(i) * 1.25, Active: i%3 != 0, City: []string{"Berlin", "Paris", "Lima"}[i%3],
		Tags:    []string{"alpha", "beta", "gamma"}[:1+i%3],
		Address: Address{Street: "Long Street", Number: i % 200, Zip: fmt.Sprintf("%05d", i%99999)},
		Visits:  int64(i) * 7,
	}
}
