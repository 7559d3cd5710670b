package codec

import "testing"

func BenchmarkEncode(b *testing.B) {
	c, err := Of[Person]()
	if err != nil {
		b.Fatal(err)
	}
	p := person(12345)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = c.Append(buf[:0], &p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}

func BenchmarkDecode(b *testing.B) {
	c, _ := Of[Person]()
	p := person(12345)
	buf, err := c.Append(nil, &p)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var q Person
		if err := c.Decode(append([]byte(nil), buf...), &q); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeMap(b *testing.B) {
	c, _ := Of[map[string]any]()
	p := person(12345)
	buf, err := Append(nil, p)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var q map[string]any
		if err := c.Decode(append([]byte(nil), buf...), &q); err != nil {
			b.Fatal(err)
		}
	}
}
