package codec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func mustAppend(t testing.TB, v any) []byte {
	t.Helper()
	data, err := Append(nil, v)
	if err != nil {
		t.Fatalf("%#v: %v", v, err)
	}
	return data
}

func codeOf(err error) uint32 {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// Each value in its one MessagePack form, by hand.
func TestValuesHaveTheirShortestForm(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, "c0"},
		{true, "c3"},
		{false, "c2"},
		{0, "00"},
		{127, "7f"},
		{128, "cc80"},
		{255, "ccff"},
		{256, "cd0100"},
		{65535, "cdffff"},
		{65536, "ce00010000"},
		{int64(math.MaxUint32), "ceffffffff"},
		{int64(math.MaxUint32 + 1), "cf0000000100000000"},
		{int64(math.MaxInt64), "cf7fffffffffffffff"},
		{uint64(math.MaxUint64), "cfffffffffffffffff"},
		{-1, "ff"},
		{-32, "e0"},
		{-33, "d0df"},
		{-128, "d080"},
		{-129, "d1ff7f"},
		{-32768, "d18000"},
		{-32769, "d2ffff7fff"},
		{math.MinInt32, "d280000000"},
		{math.MinInt32 - 1, "d3ffffffff7fffffff"},
		{int64(math.MinInt64), "d38000000000000000"},
		{1.0, "cb3ff0000000000000"},
		{math.Copysign(0, -1), "cb8000000000000000"},
		{float32(1.5), "ca3fc00000"},
		{"", "a0"},
		{"Ada", "a3416461"},
		{strings.Repeat("x", 31), "bf" + strings.Repeat("78", 31)},
		{strings.Repeat("x", 32), "d920" + strings.Repeat("78", 32)},
		{strings.Repeat("x", 256), "da0100" + strings.Repeat("78", 256)},
		{strings.Repeat("x", 65536), "db00010000" + strings.Repeat("78", 65536)},
		{[]byte{}, "c400"},
		{[]byte{0, 255}, "c40200ff"},
		{bytes.Repeat([]byte{1}, 256), "c50100" + strings.Repeat("01", 256)},
		{bytes.Repeat([]byte{1}, 65536), "c600010000" + strings.Repeat("01", 65536)},
		{[2]byte{1, 2}, "c4020102"},
		{[]any{}, "90"},
		{[]any{1, "a", nil}, "9301a161c0"},
		{make([]any, 16), "dc0010" + strings.Repeat("c0", 16)},
		{make([]any, 65536), "dd00010000" + strings.Repeat("c0", 65536)},
		{map[string]any{"b": 2, "a": 1}, "82a16101a16202"},
		{D{{"b", 2}, {"a", 1}}, "82a16202a16101"},
		{time.Unix(0, 0), "d6ff00000000"},
		{time.Unix(1, 1), "d7ff" + "0000000400000001"},
		{time.Unix(1<<33, 0), "d7ff" + "0000000200000000"},
		{time.Unix(1<<34, 0), "c70cff" + "00000000" + "0000000400000000"},
		{time.Unix(-1, 999999999), "c70cff" + "3b9ac9ff" + "ffffffffffffffff"},
		{Ext{Code: 5, Data: nil}, "c70005"},
		{Ext{Code: 5, Data: []byte{1}}, "d40501"},
		{Ext{Code: -2, Data: []byte{1, 2}}, "d5fe0102"},
		{Ext{Code: 5, Data: make([]byte, 16)}, "d805" + strings.Repeat("00", 16)},
		{Ext{Code: 5, Data: make([]byte, 17)}, "c71105" + strings.Repeat("00", 17)},
		{Ext{Code: 5, Data: make([]byte, 256)}, "c8010005" + strings.Repeat("00", 256)},
		{Ext{Code: 5, Data: make([]byte, 65536)}, "c90001000005" + strings.Repeat("00", 65536)},
		{Raw{0x92, 1, 2}, "920102"},
		{Raw(nil), "c0"},
		{[]byte(nil), "c0"},
		{map[string]any(nil), "c0"},
		{(*int)(nil), "c0"},
		{IntID(7), "07"},
	} {
		got := hex.EncodeToString(mustAppend(t, c.value))
		if got != c.want {
			t.Errorf("%T %.40v: got %.60s, want %.60s", c.value, c.value, got, c.want)
		}
		// Every form reads back as the same bytes.
		data, _ := hex.DecodeString(c.want)
		var back any
		if err := Decode(data, &back); err != nil {
			t.Errorf("%T %.40v: read: %v", c.value, c.value, err)
			continue
		}
		if _, isMap := back.(map[string]any); isMap {
			continue
		}
		if f, isFloat32 := c.value.(float32); isFloat32 {
			if back != float64(f) {
				t.Errorf("float32 reads as %v", back)
			}
			continue
		}
		if again := hex.EncodeToString(mustAppend(t, back)); again != c.want {
			t.Errorf("%T %.40v: reads as %T %.40v", c.value, c.value, back, back)
		}
	}
}

func TestAnyReadsTheTypesThatAreDocumented(t *testing.T) {
	now := time.Date(2024, 1, 2, 3, 4, 5, 123456789, time.FixedZone("x", 3600))
	in := map[string]any{
		"null": nil, "yes": true, "int": 5, "large": uint64(math.MaxUint64), "float": 1.5, "text": "é", "bytes": []byte{1},
		"list": []any{1, []string{"a"}}, "map": map[string]any{"x": int8(-1)}, "time": now, "ext": Ext{9, []byte{1, 2}},
	}
	want := map[string]any{
		"null": nil, "yes": true, "int": int64(5), "large": uint64(math.MaxUint64), "float": 1.5, "text": "é",
		"bytes": []byte{1}, "list": []any{int64(1), []any{"a"}}, "map": map[string]any{"x": int64(-1)},
		"time": now.UTC(), "ext": Ext{9, []byte{1, 2}},
	}
	var got any
	if err := Decode(mustAppend(t, in), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
}

type myInt int32
type myString string

type embedded struct {
	Inner string
	Name  string // hidden by everything.Name
}

// Through is embedded by pointer.
type Through struct {
	Deep int `nyro:"deep"`
}

type node struct {
	Value int   `nyro:"value"`
	Next  *node `nyro:"next,omitempty"`
}

type everything struct {
	Name     string `nyro:"name"`
	ID       int64  `nyro:"_id"`
	B        bool
	I        int
	I8       int8
	I16      int16
	I32      int32
	I64      int64
	U        uint
	U8       uint8
	U16      uint16
	U32      uint32
	U64      uint64
	F32      float32
	F64      float64
	Mine     myInt
	MyText   myString
	Bytes    []byte
	Array    [4]byte
	Ints     [2]int
	Time     time.Time
	Ext      Ext
	Raw      Raw
	Any      any
	Doc      D
	Pointer  *string
	Pointers **int
	List     []node
	Strings  []string
	Floats   []float64
	Map      map[string]any
	Texts    map[string]string
	Nodes    map[myString]*node
	Addr     netip.Addr
	Node     node
	JSON     string   `json:"from_json,omitempty"`
	Both     string   `json:"not_this" nyro:"this"`
	Hidden   chan int `nyro:"-"`
	private  int
	embedded
	*Through
}

func full() everything {
	text, seven := "pointed", 7
	pseven := &seven
	return everything{
		Name: "n", ID: 3, B: true, I: -1, I8: -128, I16: -32768, I32: math.MinInt32, I64: math.MinInt64, U: math.MaxUint,
		U8: 255, U16: 65535, U32: math.MaxUint32, U64: math.MaxUint64, F32: 1.5, F64: math.Pi, Mine: 4, MyText: "mine",
		Bytes: []byte{1, 2}, Array: [4]byte{1, 2, 3, 4}, Ints: [2]int{1, 2}, Time: time.Unix(1, 2).UTC(),
		Ext: Ext{1, []byte{2}}, Raw: Raw{0x91, 0x01}, Any: "any", Doc: D{{"z", int64(1)}, {"a", D{{"b", nil}}}}, Pointer: &text, Pointers: &pseven,
		List: []node{{1, nil}, {2, &node{3, nil}}}, Strings: []string{"a", ""}, Floats: []float64{1, 2.5},
		Map: map[string]any{"k": []any{int64(1)}}, Texts: map[string]string{"a": "b"},
		Nodes: map[myString]*node{"x": {1, nil}, "nil": nil}, Addr: netip.MustParseAddr("10.0.0.1"),
		Node: node{9, &node{10, nil}}, JSON: "j", Both: "b", embedded: embedded{Inner: "in"}, Through: &Through{Deep: 5},
	}
}

func TestAStructComesBackAsItWas(t *testing.T) {
	for name, in := range map[string]everything{"full": full(), "zero": {}} {
		data := mustAppend(t, in)
		var out everything
		if err := Decode(data, &out); err != nil {
			t.Fatal(name, err)
		}
		if name == "zero" {
			in.Raw = Raw{wireNil}
		}
		if !reflect.DeepEqual(in, out) {
			t.Errorf("%s:\n got  %+v\n want %+v", name, out, in)
		}
		c, err := Of[everything]()
		if err != nil {
			t.Fatal(err)
		}
		typed, err := c.Append([]byte("before"), &in)
		if err != nil || !bytes.Equal(typed[6:], data) {
			t.Errorf("%s: the typed form differs: %v", name, err)
		}
	}
}

func TestTheIDIsTheFirstFieldAndTagsGiveNames(t *testing.T) {
	var d D
	if err := Decode(mustAppend(t, full()), &d); err != nil {
		t.Fatal(err)
	}
	if d[0].Name != "_id" {
		t.Errorf("the first field is %q", d[0].Name)
	}
	for _, name := range []string{"name", "from_json", "this", "Inner", "deep"} {
		if _, ok := d.Get(name); !ok {
			t.Errorf("%q is missing", name)
		}
	}
	for _, name := range []string{"Name", "Hidden", "private", "not_this", "embedded", "Through"} {
		if v, ok := d.Get(name); ok && name != "Name" {
			t.Errorf("%q is there: %v", name, v)
		}
	}
}

func TestOmitemptyLeavesOutWhatIsEmpty(t *testing.T) {
	type T struct {
		A string          `nyro:"a,omitempty"`
		B []int           `nyro:"b,omitempty"`
		C map[string]any  `nyro:"c,omitempty"`
		D *int            `nyro:"d,omitempty"`
		E time.Time       `nyro:"e,omitempty"`
		F struct{ X int } `nyro:"f,omitempty"`
		G any             `nyro:"g,omitempty"`
		H [2]byte         `nyro:"h,omitempty"`
		I bool            `nyro:"i,omitzero"`
		J int16           `nyro:"j,omitempty"`
		K int32           `nyro:"k,omitempty"`
		L uint64          `nyro:"l,omitempty"`
		M int             `nyro:"m,omitempty"`
		N float64         `nyro:"n,omitempty"`
		O Ext             `nyro:"o,omitempty"`
		P myString        `nyro:"p,omitempty"`
		Z int             `nyro:"z"`
	}
	if got := hex.EncodeToString(mustAppend(t, T{})); got != "81a17a00" {
		t.Errorf("empty: %s", got)
	}
	if got := hex.EncodeToString(mustAppend(t, T{B: []int{}, C: map[string]any{}})); got != "81a17a00" {
		t.Errorf("empty containers: %s", got)
	}
	one := 0
	in := T{"a", []int{1}, map[string]any{"x": nil}, &one, time.Unix(5, 0).UTC(), struct{ X int }{1}, 1, [2]byte{1, 0}, true, 1, 1, 1, 1, 1, Ext{1, nil}, "p", 0}
	var d D
	if err := Decode(mustAppend(t, in), &d); err != nil || len(d) != 17 {
		t.Errorf("all set: %d fields, %v", len(d), err)
	}
	type S struct {
		A string `nyro:"a,omitempty"`
		B int    `nyro:"b,omitempty"`
	}
	if got := hex.EncodeToString(mustAppend(t, S{B: 1})); got != "81a16201" {
		t.Errorf("small: %s", got)
	}
}

func TestFieldsAreFoundInAnyOrderAndUnknownOnesAreSkipped(t *testing.T) {
	type T struct {
		A            int
		LongerThan8B string
		C            []string
		D            float64
	}
	want := T{1, "x", []string{"y"}, 2}
	docs := []D{
		{{"A", 1}, {"LongerThan8B", "x"}, {"C", []any{"y"}}, {"D", 2.0}},
		{{"D", 2.0}, {"C", []any{"y"}}, {"LongerThan8B", "x"}, {"A", 1}},
		{{"new", D{{"deep", []any{1, 2, D{}}}}}, {"A", 1}, {"LongerThan8C", 1}, {"LongerThan8B", "x"}, {"D", 2}, {"C", []any{"y"}}, {"zz", []byte("zz")}},
	}
	for _, d := range docs {
		var got T
		if err := Decode(mustAppend(t, d), &got); err != nil {
			t.Error(d, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %+v", d, got)
		}
	}
	// A name in a longer form than needed, as other programs may write it.
	data, _ := hex.DecodeString("81d90141" + "05")
	var got T
	if err := Decode(data, &got); err != nil || got.A != 5 {
		t.Error(got, err)
	}
}

func TestNullIsTheZeroValue(t *testing.T) {
	var d D
	if err := Decode(mustAppend(t, full()), &d); err != nil {
		t.Fatal(err)
	}
	for i := range d {
		d[i].Value = nil
	}
	out := full()
	if err := Decode(mustAppend(t, d), &out); err != nil {
		t.Fatal(err)
	}
	if out.Through == nil || out.Raw == nil {
		t.Error("an embedded pointer with fields, and a Raw, are there")
	}
	out.Through, out.Raw = nil, nil
	if !reflect.DeepEqual(out, everything{}) {
		t.Errorf("got %+v", out)
	}
}

func TestNumbersThatDoNotFitAreRefused(t *testing.T) {
	refused := func(v any, into any) {
		t.Helper()
		err := Decode(mustAppend(t, v), into)
		if codeOf(err) != CodeSerialization {
			t.Errorf("%v into %T: %v", v, into, err)
		}
	}
	refused(128, new(int8))
	refused(-129, new(int8))
	refused(-1, new(uint8))
	refused(256, new(uint8))
	refused(-1, new(uint64))
	refused(uint64(math.MaxUint64), new(int64))
	refused(uint64(math.MaxUint64), new(int))
	refused(1.0, new(int))
	refused(int64(1<<53+1), new(float64))
	refused(uint64(math.MaxUint64), new(float64))
	refused(int64(math.MaxInt64), new(float64))
	refused(1e300, new(float32))
	refused("1", new(int))
	refused(1, new(string))
	refused(1, new(bool))
	refused(1, new(time.Time))
	refused("x", new([]byte))
	refused([]byte("x"), new(string))
	refused([]any{1, 2, 3}, new([2]int))
	refused([]byte{1, 2, 3}, new([2]byte))
	refused([]any{}, new(map[string]any))
	refused(map[string]any{}, new([]any))
	refused(map[string]any{}, new([]string))
	refused(time.Now(), new(Ext))
	refused(1, new(fmt.Stringer))
	refused("not an address", new(netip.Addr))
	for _, v := range []any{int64(1 << 53), int64(math.MinInt64), uint64(1 << 63), -5} {
		var f float64
		if err := Decode(mustAppend(t, v), &f); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
	var f32 float32
	if err := Decode(mustAppend(t, math.Inf(1)), &f32); err != nil || !math.IsInf(float64(f32), 1) {
		t.Error(f32, err)
	}
}

func TestAnErrorNamesTheField(t *testing.T) {
	type T struct {
		Inner struct {
			Age int8 `nyro:"age"`
		} `nyro:"inner"`
	}
	err := Decode(mustAppend(t, D{{"inner", D{{"age", 1000}}}}), new(T))
	if err == nil || err.Error() != "field inner: field age: 1000 is out of the range of int8" {
		t.Error(err)
	}
}

type loop struct{ Next *loop }
type selfPointer *selfPointer

func TestCyclesAndDepthAreErrors(t *testing.T) {
	tooDeep := func(name string, v any) {
		t.Helper()
		if _, err := Append(nil, v); codeOf(err) != CodeTooDeep {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := &loop{}
	l.Next = l
	tooDeep("struct", l)
	m := map[string]any{}
	m["m"] = m
	tooDeep("map", m)
	m["n"], m["o"] = m, m
	tooDeep("map with many", m)
	s := []any{nil}
	s[0] = s
	tooDeep("slice", s)
	var x any
	x = &x
	tooDeep("interface", x)
	type ring []ring
	r := ring{nil}
	r[0] = r
	tooDeep("slice type", r)
	if _, err := Of[selfPointer](); codeOf(err) != CodeSerialization {
		t.Errorf("a pointer to itself: %v", err)
	}

	nested := func(n int) any {
		var v any
		for range n {
			v = map[string]any{"n": v}
		}
		return v
	}
	data := mustAppend(t, nested(100))
	var back any
	if err := Decode(data, &back); err != nil {
		t.Error(err)
	}
	tooDeep("101 levels", nested(101))
	deep := append([]byte{0x81, 0xa1, 'n'}, data...)
	if err := Decode(deep, &back); codeOf(err) != CodeTooDeep {
		t.Errorf("read 101 levels: %v", err)
	}
	arrays := bytes.Repeat([]byte{0x91}, 1_000_000)
	if err := Decode(append(arrays, 0xc0), &back); codeOf(err) != CodeTooDeep {
		t.Errorf("a million levels: %v", err)
	}
	if skip(append(arrays, 0xc0), 0) != 1_000_001 {
		t.Error("skip")
	}
}

func TestTypesWithoutAFormAreRefused(t *testing.T) {
	refused := func(v any) {
		t.Helper()
		if _, err := Append(nil, v); codeOf(err) != CodeSerialization {
			t.Errorf("%T: %v", v, err)
		}
	}
	refused(make(chan int))
	refused(func() {})
	refused(complex(1, 2))
	refused(map[int]string{})
	refused(struct{ C chan int }{})
	refused(struct{ hidden int }{1})
	refused([]any{1, make(chan int)})
	refused(struct {
		A int `nyro:"x"`
		B int `nyro:"x"`
	}{})
	refused(Ext{Code: -1})
	if _, err := Of[chan int](); err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Error(err)
	}
	if _, err := Append(nil, Raw{0x92, 1}); codeOf(err) != CodeMalformed {
		t.Error("a Raw that is cut off", err)
	}
	buf := []byte("kept")
	if got, err := Append(buf, []any{1, make(chan int)}); err == nil || string(got) != "kept" {
		t.Error("the buffer after an error", got)
	}
}

func TestStringsLieInTheDocument(t *testing.T) {
	data := mustAppend(t, D{{"s", "text"}, {"b", []byte("bytes")}})
	var got struct {
		S string `nyro:"s"`
		B []byte `nyro:"b"`
	}
	if err := Decode(data, &got); err != nil {
		t.Fatal(err)
	}
	inside := func(p *byte) bool {
		at := uintptr(unsafe.Pointer(p)) - uintptr(unsafe.Pointer(&data[0]))
		return at < uintptr(len(data))
	}
	if !inside(unsafe.StringData(got.S)) || !inside(&got.B[0]) {
		t.Error("they were copied")
	}
	if cap(got.B) != len(got.B) {
		t.Error("an append to the bytes would write into the document")
	}
}

func TestAliasesSaysWhetherTheBytesAreKept(t *testing.T) {
	numbers, _ := Of[struct {
		A int
		B []float64
		C time.Time
		D *bool
		E [16]byte
		F map[string]string `nyro:"-"`
	}]()
	people, _ := Of[Person]()
	maps, _ := Of[map[string]int]()
	anything, _ := Of[any]()
	nodes, _ := Of[node]()
	got := []bool{numbers.Aliases(), people.Aliases(), maps.Aliases(), anything.Aliases()}
	if !reflect.DeepEqual(got, []bool{false, true, true, true}) {
		t.Error(got)
	}
	_ = nodes
}

func TestIDs(t *testing.T) {
	type userID string
	for _, c := range []struct {
		in   any
		want ID
		text string
	}{
		{1, IntID(1), "1"}, {int8(-1), IntID(-1), "-1"}, {int16(1), IntID(1), "1"}, {int32(1), IntID(1), "1"},
		{int64(math.MinInt64), IntID(math.MinInt64), "-9223372036854775808"}, {uint(1), IntID(1), "1"},
		{uint8(1), UintID(1), "1"}, {uint64(math.MaxUint64), UintID(math.MaxUint64), "18446744073709551615"},
		{"ada", StringID("ada"), `"ada"`}, {userID("ada"), StringID("ada"), `"ada"`}, {"", StringID(""), `""`},
		{[]byte{0, 255}, BytesID([]byte{0, 255}), "0x00ff"}, {IntID(5), IntID(5), "5"}, {StringID("x"), StringID("x"), `"x"`},
		{BytesID([]byte("x")), BytesID([]byte("x")), "0x78"}, {myInt(9), IntID(9), "9"},
	} {
		data, err := AppendID(nil, c.in)
		if err != nil {
			t.Error(c.in, err)
			continue
		}
		id, err := DecodeID(data)
		if err != nil || id != c.want || id.String() != c.text {
			t.Errorf("%#v: %v %v", c.in, id, err)
		}
	}
	for _, bad := range []any{nil, 1.0, true, []int{1}, time.Now(), ID{}, map[string]any{}, (*int)(nil)} {
		if _, err := AppendID(nil, bad); codeOf(err) != CodeInvalidID {
			t.Errorf("%#v: %v", bad, err)
		}
	}
	if BytesID([]byte("x")) == StringID("x") {
		t.Error("a string and equal bytes are different ids")
	}
	if v, ok := UintID(math.MaxUint64).Uint64(); !ok || v != math.MaxUint64 {
		t.Error(v, ok)
	}
	if _, ok := UintID(math.MaxUint64).Int64(); ok {
		t.Error("too large")
	}
	if _, ok := IntID(-1).Uint64(); ok {
		t.Error("negative")
	}
	type doc struct {
		ID ID `nyro:"_id"`
	}
	for _, id := range []ID{IntID(-3), UintID(math.MaxUint64), StringID("a"), BytesID([]byte{1})} {
		var back doc
		if err := Decode(mustAppend(t, doc{id}), &back); err != nil || back.ID != id {
			t.Error(id, back, err)
		}
	}
}

func TestBytesThatAreCutOffOrChangedNeverPanic(t *testing.T) {
	data := mustAppend(t, full())
	for cut := range data {
		var e everything
		var a any
		var d D
		if Decode(data[:cut], &e) == nil || Decode(data[:cut], &a) == nil || Decode(data[:cut], &d) == nil {
			t.Errorf("%d bytes of %d were read", cut, len(data))
		}
	}
	for at := range data {
		for _, change := range []byte{1, 0x80, 0xff, 0x20} {
			changed := bytes.Clone(data)
			changed[at] ^= change
			var e everything
			var a any
			_, _ = Decode(changed, &e), Decode(changed, &a)
		}
	}
}

// What skip passes over is what any reads.
func FuzzDecode(f *testing.F) {
	data, _ := Append(nil, full())
	f.Add(data)
	f.Add([]byte{0xc1})
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		var a any
		var e everything
		err := Decode(data, &a)
		_ = Decode(data, &e)
		end := skip(data, 0)
		if err == nil && end != len(data) {
			t.Errorf("skip says %d of %d for %x", end, len(data), data)
		}
		if err != nil {
			return
		}
		again, err := Append(nil, a)
		if err != nil {
			t.Skip("a timestamp of another length is the one extension that can be read and not written")
		}
		var b any
		if err := Decode(again, &b); err != nil {
			t.Errorf("%x was written as %x, which can't be read: %v", data, again, err)
		}
	})
}

// What stays hides from the compiler must not be hidden while the stack moves. A goroutine begins with a small stack,
// which is moved when a call finds no room: with frames of this size it is so between any two calls, at some depth.
func TestValuesOnAStackThatMovesAreWrittenAndRead(t *testing.T) {
	type point struct{ X, Y int }
	codec, err := Of[point]()
	if err != nil {
		t.Fatal(err)
	}
	want := mustAppend(t, point{7, 9})
	for depth := range 2000 {
		done := make(chan error)
		go func() { done <- atDepth(depth, func() error { return roundTrip(codec, point{7, 9}, want) }) }()
		if err := <-done; err != nil {
			t.Fatalf("%d calls deep: %v", depth, err)
		}
	}
}

//go:noinline
func atDepth(n int, f func() error) error {
	if n == 0 {
		return f()
	}
	return atDepth(n-1, f)
}

func roundTrip[T comparable](codec Codec[T], value T, want []byte) error {
	data, err := codec.Append(nil, &value)
	if err != nil || !bytes.Equal(data, want) {
		return fmt.Errorf("written as %x, not %x: %v", data, want, err)
	}
	var read T
	if err := codec.Decode(data, &read); err != nil || read != value {
		return fmt.Errorf("read as %v, not %v: %v", read, value, err)
	}
	return nil
}
