package main

import "fmt"

// Person is a document of about 177 bytes.
type Person struct {
	ID      int64    `nyro:"_id" msgpack:"_id"`
	Name    string   `nyro:"name" msgpack:"name"`
	Email   string   `nyro:"email" msgpack:"email"`
	Age     int      `nyro:"age" msgpack:"age"`
	Score   float64  `nyro:"score" msgpack:"score"`
	Active  bool     `nyro:"active" msgpack:"active"`
	City    string   `nyro:"city" msgpack:"city"`
	Tags    []string `nyro:"tags" msgpack:"tags"`
	Address Address  `nyro:"address" msgpack:"address"`
	Visits  int64    `nyro:"visits" msgpack:"visits"`
}

// Address is a map inside a Person.
type Address struct {
	Street string `nyro:"street" msgpack:"street"`
	Number int    `nyro:"number" msgpack:"number"`
	Zip    string `nyro:"zip" msgpack:"zip"`
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
