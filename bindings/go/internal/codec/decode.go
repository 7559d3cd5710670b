package codec

import (
	"encoding"
	"encoding/binary"
	"math"
	"reflect"
	"time"
	"unsafe"
)

// decoder reads one document. Functions take the position to read at and return the one after, or -1 with err
// set. No byte of buf is trusted.
type decoder struct {
	buf   []byte
	depth int
	// ordered: maps of unknown type become a D.
	ordered bool
	err     *Error
}

// finish is the result of reading a whole document that ended at pos.
func (d *decoder) finish(pos int) error {
	switch {
	case d.err != nil:
		return d.err
	case pos != len(d.buf):
		return errorf(CodeMalformed, "bytes after the end of the value, at byte %d", pos)
	}
	return nil
}

func (d *decoder) fail(err *Error) int {
	if d.err == nil {
		d.err = err
	}
	return -1
}

func (d *decoder) malformed(pos int) int {
	return d.fail(errorf(CodeMalformed, "the bytes are not well-formed MessagePack at byte %d", pos))
}

// mismatch: the stored value does not fit the Go type.
func (d *decoder) mismatch(pos int, into any) int {
	if pos >= len(d.buf) {
		return d.malformed(pos)
	}
	return d.fail(errorf(CodeSerialization, "%s can't be read into %v", nameOf(d.buf[pos:]), into))
}

// inField adds to the error where in the document it happened.
func (d *decoder) inField(name string) int {
	if d.err != nil && d.err.Code == CodeSerialization {
		d.err.Message = "field " + name + ": " + d.err.Message
	}
	return -1
}

// nameOf says what a stored value is.
func nameOf(at []byte) string {
	c := at[0]
	switch {
	case c < 0x80, c >= wireNegative, c >= wireUint8 && c <= wireInt64:
		return "an integer"
	case c < wireFixArray, c == wireMap16, c == wireMap32:
		return "a map"
	case c < wireFixStr, c == wireArray16, c == wireArray32:
		return "an array"
	case c < wireNil, c >= wireStr8 && c <= wireStr32:
		return "a string"
	case c == wireFalse, c == wireTrue:
		return "a boolean"
	case c >= wireBin8 && c <= wireBin32:
		return "a binary"
	case c == wireFloat32, c == wireFloat64:
		return "a float"
	case c == wireNil:
		return "null"
	case len(at) > 1 && c >= wireFixExt1 && c <= wireFixExt16 && at[1] == 0xff, len(at) > 2 && c == wireExt8 && at[2] == 0xff:
		return "a timestamp"
	}
	return "an extension"
}

// enter goes one level deeper.
func (d *decoder) enter() bool {
	d.depth++
	if d.depth > MaxDepth {
		d.fail(errorf(CodeTooDeep, "the document nests deeper than %d levels", MaxDepth))
		return false
	}
	return true
}

func (d *decoder) leave() { d.depth-- }

// isNil says whether a null stands at pos.
func (d *decoder) isNil(pos int) bool { return pos < len(d.buf) && d.buf[pos] == wireNil }

// length reads a big-endian length of 1, 2 or 4 bytes; -1 if it is cut off.
func (d *decoder) length(pos, size int) (n, next int) {
	if pos+size > len(d.buf) {
		return 0, -1
	}
	switch size {
	case 1:
		n = int(d.buf[pos])
	case 2:
		n = int(big.Uint16(d.buf[pos:]))
	default:
		n = int(big.Uint32(d.buf[pos:]))
	}
	return n, pos + size
}

// stringHead reads the length of the string at pos and returns where its bytes begin; next -1: it is none.
func (d *decoder) stringHead(pos int) (n, next int) {
	if pos >= len(d.buf) {
		return 0, -1
	}
	switch c := d.buf[pos]; {
	case c&0xe0 == wireFixStr:
		n, next = int(c&0x1f), pos+1
	case c >= wireStr8 && c <= wireStr32:
		n, next = d.length(pos+1, 1<<(c-wireStr8))
	default:
		return 0, -1
	}
	if next < 0 || n > len(d.buf)-next {
		return 0, -1
	}
	return n, next
}

// text is the string of n bytes at pos; it lies in the document.
func (d *decoder) text(pos, n int) string {
	if n == 0 {
		return ""
	}
	return unsafe.String(&d.buf[pos], n)
}

func (d *decoder) string(pos int, to *string) int {
	n, at := d.stringHead(pos)
	if at < 0 {
		if d.isNil(pos) {
			*to = ""
			return pos + 1
		}
		return d.mismatch(pos, "string")
	}
	*to = d.text(at, n)
	return at + n
}

func (d *decoder) stringValue(pos int) (string, int) {
	var s string
	pos = d.string(pos, &s)
	return s, pos
}

// containerHead reads the number of elements of the array, or pairs of the map, at pos; next -1: it is none.
// bytes is the least that one element takes, so that a number which can't be true allocates nothing.
func (d *decoder) containerHead(pos int, fix, code16 byte, bytes int) (n, next int) {
	if pos >= len(d.buf) {
		return 0, -1
	}
	switch c := d.buf[pos]; {
	case c&0xf0 == fix:
		n, next = int(c&0x0f), pos+1
	case c == code16:
		n, next = d.length(pos+1, 2)
	case c == code16+1:
		n, next = d.length(pos+1, 4)
	default:
		return 0, -1
	}
	if next < 0 || n > (len(d.buf)-next)/bytes {
		return 0, -1
	}
	return n, next
}

func (d *decoder) arrayHead(pos int) (n, next int) {
	return d.containerHead(pos, wireFixArray, wireArray16, 1)
}
func (d *decoder) mapHead(pos int) (n, next int) {
	return d.containerHead(pos, wireFixMap, wireMap16, 2)
}

// integer reads the integer at pos. When it is above the largest int64, large is set and v holds its bits.
// next -1: it is none.
func (d *decoder) integer(pos int) (v int64, large bool, next int) {
	if pos >= len(d.buf) {
		return 0, false, -1
	}
	c := d.buf[pos]
	if c < 0x80 || c >= wireNegative {
		return int64(int8(c)), false, pos + 1
	}
	if c < wireUint8 || c > wireInt64 {
		return 0, false, -1
	}
	size := 1 << ((c - wireUint8) & 3)
	at := d.buf[pos+1:]
	if len(at) < size {
		return 0, false, -1
	}
	switch c {
	case wireUint8:
		v = int64(at[0])
	case wireUint16:
		v = int64(big.Uint16(at))
	case wireUint32:
		v = int64(big.Uint32(at))
	case wireInt8:
		v = int64(int8(at[0]))
	case wireInt16:
		v = int64(int16(big.Uint16(at)))
	case wireInt32:
		v = int64(int32(big.Uint32(at)))
	default:
		v = int64(big.Uint64(at))
		large = c == wireUint64 && v < 0
	}
	return v, large, pos + 1 + size
}

// signed reads an integer that lies within min and max.
func (d *decoder) signed(pos int, min, max int64, into string) (int64, int) {
	v, large, next := d.integer(pos)
	switch {
	case next < 0 && d.isNil(pos):
		return 0, pos + 1
	case next < 0:
		return 0, d.mismatch(pos, into)
	case large || v < min || v > max:
		return 0, d.outOfRange(v, large, into)
	}
	return v, next
}

// unsigned reads an integer that lies within 0 and max.
func (d *decoder) unsigned(pos int, max uint64, into string) (uint64, int) {
	v, large, next := d.integer(pos)
	switch {
	case next < 0 && d.isNil(pos):
		return 0, pos + 1
	case next < 0:
		return 0, d.mismatch(pos, into)
	case (v < 0 && !large) || uint64(v) > max:
		return 0, d.outOfRange(v, large, into)
	}
	return uint64(v), next
}

func (d *decoder) outOfRange(v int64, large bool, into string) int {
	if large {
		return d.fail(errorf(CodeSerialization, "%d is out of the range of %s", uint64(v), into))
	}
	return d.fail(errorf(CodeSerialization, "%d is out of the range of %s", v, into))
}

// float reads a float, or an integer that a float holds exactly.
func (d *decoder) float(pos int) (float64, int) {
	if pos >= len(d.buf) {
		return 0, d.malformed(pos)
	}
	at := d.buf[pos:]
	switch {
	case at[0] == wireFloat64 && len(at) >= 9:
		return math.Float64frombits(big.Uint64(at[1:])), pos + 9
	case at[0] == wireFloat32 && len(at) >= 5:
		return float64(math.Float32frombits(big.Uint32(at[1:]))), pos + 5
	case at[0] == wireNil:
		return 0, pos + 1
	}
	v, large, next := d.integer(pos)
	switch {
	case next < 0:
		return 0, d.mismatch(pos, "float64")
	case large && float64(uint64(v)) < math.MaxUint64 && uint64(float64(uint64(v))) == uint64(v):
		return float64(uint64(v)), next
	case !large && float64(v) < math.MaxInt64 && int64(float64(v)) == v:
		return float64(v), next
	}
	return 0, d.outOfRange(v, large, "the integers that a float64 holds exactly")
}

// decode reads a map into a struct. Fields of the map that the struct does not have are skipped; fields of
// the struct that the map does not have are zero.
func (s *structPlan) decode(d *decoder, pos int, p unsafe.Pointer) int {
	n, at := d.mapHead(pos)
	if at < 0 {
		if d.isNil(pos) {
			return pos + 1
		}
		return d.mismatch(pos, s.typ)
	}
	if !d.enter() {
		return -1
	}
	pos = at
	buf := d.buf
	expected := 0
	for ; n > 0; n-- {
		var f *field
		found := -1
		if len(buf)-pos >= 8 {
			word := binary.LittleEndian.Uint64(buf[pos:])
			for i := expected; i < len(s.fields); i++ {
				f = &s.fields[i]
				if word&f.mask == f.word && (len(f.head) <= 8 || f.isAt(buf, pos)) {
					found = i
					pos += len(f.head)
					break
				}
			}
		}
		if found < 0 {
			size, at := d.stringHead(pos)
			if at < 0 {
				return d.malformed(pos)
			}
			i, ok := s.byName[string(buf[at:at+size])]
			pos = at + size
			if !ok {
				if pos = skip(buf, pos); pos < 0 {
					return d.malformed(at)
				}
				continue
			}
			found, f = i, &s.fields[i]
		}
		expected = found + 1
		q := unsafe.Add(p, f.offset)
		if f.hops != nil {
			q = f.makeAddress(p)
		}
		switch f.kind {
		case kindString:
			if pos < len(buf) && buf[pos]&0xe0 == wireFixStr && int(buf[pos]&0x1f) <= len(buf)-pos-1 {
				size := int(buf[pos] & 0x1f)
				*(*string)(q) = d.text(pos+1, size)
				pos += 1 + size
			} else {
				pos = d.string(pos, (*string)(q))
			}
		case kindInt64, kindInt:
			var v int64
			var large bool
			at := pos
			if v, large, pos = d.integer(pos); large || pos < 0 {
				v, pos = d.signed(at, math.MinInt64, math.MaxInt64, "int64")
			}
			*(*int64)(q) = v
		case kindFloat64:
			if len(buf)-pos >= 9 && buf[pos] == wireFloat64 {
				*(*float64)(q) = math.Float64frombits(big.Uint64(buf[pos+1:]))
				pos += 9
			} else {
				*(*float64)(q), pos = d.float(pos)
			}
		case kindBool:
			pos = d.bool(pos, (*bool)(q))
		default:
			pos = f.plan.decode(d, pos, q)
		}
		if pos < 0 {
			return d.inField(f.name)
		}
	}
	d.leave()
	return pos
}

// isAt: the name of the field, with its length, stands at pos.
func (f *field) isAt(buf []byte, pos int) bool {
	return len(f.head) <= len(buf)-pos && string(buf[pos:pos+len(f.head)]) == f.head
}

func (d *decoder) bool(pos int, to *bool) int {
	if pos >= len(d.buf) {
		return d.malformed(pos)
	}
	switch d.buf[pos] {
	case wireFalse, wireNil:
		*to = false
	case wireTrue:
		*to = true
	default:
		return d.mismatch(pos, "bool")
	}
	return pos + 1
}

func decodeBasic(k kind) func(*decoder, int, unsafe.Pointer) int {
	switch k {
	case kindBool:
		return func(d *decoder, pos int, p unsafe.Pointer) int { return d.bool(pos, (*bool)(p)) }
	case kindInt:
		return decodeSigned[int](math.MinInt, math.MaxInt, "int")
	case kindInt8:
		return decodeSigned[int8](math.MinInt8, math.MaxInt8, "int8")
	case kindInt16:
		return decodeSigned[int16](math.MinInt16, math.MaxInt16, "int16")
	case kindInt32:
		return decodeSigned[int32](math.MinInt32, math.MaxInt32, "int32")
	case kindInt64:
		return decodeSigned[int64](math.MinInt64, math.MaxInt64, "int64")
	case kindUint:
		return decodeUnsigned[uint](math.MaxUint, "uint")
	case kindUint8:
		return decodeUnsigned[uint8](math.MaxUint8, "uint8")
	case kindUint16:
		return decodeUnsigned[uint16](math.MaxUint16, "uint16")
	case kindUint32:
		return decodeUnsigned[uint32](math.MaxUint32, "uint32")
	case kindUint64:
		return decodeUnsigned[uint64](math.MaxUint64, "uint64")
	case kindFloat32:
		return decodeFloat32
	case kindFloat64:
		return func(d *decoder, pos int, p unsafe.Pointer) int {
			v, pos := d.float(pos)
			*(*float64)(p) = v
			return pos
		}
	}
	return func(d *decoder, pos int, p unsafe.Pointer) int { return d.string(pos, (*string)(p)) }
}

func decodeSigned[T int | int8 | int16 | int32 | int64](min, max int64, into string) func(*decoder, int, unsafe.Pointer) int {
	return func(d *decoder, pos int, p unsafe.Pointer) int {
		v, next := d.signed(pos, min, max, into)
		*(*T)(p) = T(v)
		return next
	}
}

func decodeUnsigned[T uint | uint8 | uint16 | uint32 | uint64](max uint64, into string) func(*decoder, int, unsafe.Pointer) int {
	return func(d *decoder, pos int, p unsafe.Pointer) int {
		v, next := d.unsigned(pos, max, into)
		*(*T)(p) = T(v)
		return next
	}
}

// decodeFloat32 reads what a float32 holds without becoming infinite; digits may be lost.
func decodeFloat32(d *decoder, pos int, p unsafe.Pointer) int {
	v, next := d.float(pos)
	if math.Abs(v) > math.MaxFloat32 && !math.IsInf(v, 0) {
		return d.fail(errorf(CodeSerialization, "%v is out of the range of float32", v))
	}
	*(*float32)(p) = float32(v)
	return next
}

func decodeTime(d *decoder, pos int, p unsafe.Pointer) int {
	if d.isNil(pos) {
		*(*time.Time)(p) = time.Time{}
		return pos + 1
	}
	code, at, n := extHead(d.buf, pos)
	if at < 0 || code != extTimestamp {
		return d.mismatch(pos, "time.Time")
	}
	t, ok := timeOf(d.buf[at : at+n])
	if !ok {
		return d.malformed(pos)
	}
	*(*time.Time)(p) = t
	return at + n
}

// timeOf reads the three forms of a timestamp.
func timeOf(data []byte) (time.Time, bool) {
	var seconds int64
	var nanoseconds uint64
	switch len(data) {
	case 4:
		seconds = int64(big.Uint32(data))
	case 8:
		both := big.Uint64(data)
		seconds, nanoseconds = int64(both&(1<<34-1)), both>>34
	case 12:
		seconds, nanoseconds = int64(big.Uint64(data[4:])), uint64(big.Uint32(data))
	default:
		return time.Time{}, false
	}
	return time.Unix(seconds, int64(nanoseconds)).UTC(), nanoseconds < 1e9
}

// extHead reads the head of the extension at pos: its code, where its n bytes begin; at -1: it is none.
func extHead(buf []byte, pos int) (code int8, at, n int) {
	if pos >= len(buf) {
		return 0, -1, 0
	}
	d := decoder{buf: buf}
	switch c := buf[pos]; {
	case c >= wireFixExt1 && c <= wireFixExt16:
		n, at = 1<<(c-wireFixExt1), pos+1
	case c >= wireExt8 && c <= wireExt32:
		n, at = d.length(pos+1, 1<<(c-wireExt8))
	default:
		return 0, -1, 0
	}
	if at < 0 || n+1 > len(buf)-at {
		return 0, -1, 0
	}
	return int8(buf[at]), at + 1, n
}

func decodeExt(d *decoder, pos int, p unsafe.Pointer) int {
	if d.isNil(pos) {
		*(*Ext)(p) = Ext{}
		return pos + 1
	}
	code, at, n := extHead(d.buf, pos)
	if at < 0 || code == extTimestamp {
		return d.mismatch(pos, "Ext")
	}
	*(*Ext)(p) = d.ext(code, at, n)
	return at + n
}

func (d *decoder) ext(code int8, at, n int) Ext {
	if n == 0 {
		return Ext{Code: code}
	}
	return Ext{Code: code, Data: d.slice(at, n)}
}

// slice is n bytes of the document, with no room to grow into what follows.
func (d *decoder) slice(pos, n int) []byte { return d.buf[pos : pos+n : pos+n] }

func decodeRaw(d *decoder, pos int, p unsafe.Pointer) int {
	end := skip(d.buf, pos)
	if end < 0 {
		return d.malformed(pos)
	}
	*(*Raw)(p) = Raw(d.slice(pos, end-pos))
	return end
}

// binHead reads the length of the binary at pos and returns where its bytes begin; next -1: it is none.
func (d *decoder) binHead(pos int) (n, next int) {
	if pos >= len(d.buf) || d.buf[pos] < wireBin8 || d.buf[pos] > wireBin32 {
		return 0, -1
	}
	n, next = d.length(pos+1, 1<<(d.buf[pos]-wireBin8))
	if next < 0 || n > len(d.buf)-next {
		return 0, -1
	}
	return n, next
}

func decodeBytes(d *decoder, pos int, p unsafe.Pointer) int {
	n, at := d.binHead(pos)
	if at < 0 {
		if d.isNil(pos) {
			*(*[]byte)(p) = nil
			return pos + 1
		}
		return d.mismatch(pos, "[]byte")
	}
	*(*[]byte)(p) = d.slice(at, n)
	return at + n
}

func decodeByteArray(size int) func(*decoder, int, unsafe.Pointer) int {
	return func(d *decoder, pos int, p unsafe.Pointer) int {
		to := unsafe.Slice((*byte)(p), size)
		if d.isNil(pos) {
			clear(to)
			return pos + 1
		}
		n, at := d.binHead(pos)
		if at < 0 {
			return d.mismatch(pos, "a byte array")
		}
		if n != size {
			return d.fail(errorf(CodeSerialization, "a binary of %d bytes can't be read into an array of %d", n, size))
		}
		copy(to, d.buf[at:at+n])
		return at + n
	}
}

func decodeText(t reflect.Type) func(*decoder, int, unsafe.Pointer) int {
	return func(d *decoder, pos int, p unsafe.Pointer) int {
		target := reflect.NewAt(t, p)
		if d.isNil(pos) {
			target.Elem().SetZero()
			return pos + 1
		}
		n, at := d.stringHead(pos)
		unmarshaler, ok := target.Interface().(encoding.TextUnmarshaler)
		if at < 0 || !ok {
			return d.mismatch(pos, t)
		}
		// UnmarshalText may keep what it is given only as a copy, by its contract.
		if err := unmarshaler.UnmarshalText(d.slice(at, n)); err != nil {
			return d.fail(errorf(CodeSerialization, "%v: UnmarshalText: %v", t, err))
		}
		return at + n
	}
}

func decodePointer(elem *plan) func(*decoder, int, unsafe.Pointer) int {
	return func(d *decoder, pos int, p unsafe.Pointer) int {
		if d.isNil(pos) {
			*(*unsafe.Pointer)(p) = nil
			return pos + 1
		}
		target := reflect.New(elem.typ).UnsafePointer()
		*(*unsafe.Pointer)(p) = target
		return elem.decode(d, pos, target)
	}
}

func decodeInterface(t reflect.Type) func(*decoder, int, unsafe.Pointer) int {
	return func(d *decoder, pos int, p unsafe.Pointer) int {
		if d.isNil(pos) {
			reflect.NewAt(t, p).Elem().SetZero()
			return pos + 1
		}
		return d.mismatch(pos, t)
	}
}

func decodeSlice(elem *plan, t reflect.Type) func(*decoder, int, unsafe.Pointer) int {
	return func(d *decoder, pos int, p unsafe.Pointer) int {
		to := reflect.NewAt(t, p).Elem()
		n, at := d.arrayHead(pos)
		if at < 0 {
			if d.isNil(pos) {
				to.SetZero()
				return pos + 1
			}
			return d.mismatch(pos, t)
		}
		made := reflect.MakeSlice(t, n, n)
		to.Set(made)
		return d.elements(elem, at, n, made.UnsafePointer())
	}
}

func decodeArray(elem *plan, t reflect.Type) func(*decoder, int, unsafe.Pointer) int {
	return func(d *decoder, pos int, p unsafe.Pointer) int {
		if d.isNil(pos) {
			reflect.NewAt(t, p).Elem().SetZero()
			return pos + 1
		}
		n, at := d.arrayHead(pos)
		if at < 0 {
			return d.mismatch(pos, t)
		}
		if n != t.Len() {
			return d.fail(errorf(CodeSerialization, "an array of %d elements can't be read into %v", n, t))
		}
		return d.elements(elem, at, n, p)
	}
}

func (d *decoder) elements(elem *plan, pos, n int, first unsafe.Pointer) int {
	if !d.enter() {
		return -1
	}
	size := elem.typ.Size()
	for i := range n {
		if pos = elem.decode(d, pos, unsafe.Add(first, uintptr(i)*size)); pos < 0 {
			return -1
		}
	}
	d.leave()
	return pos
}

func decodeStrings(d *decoder, pos int, p unsafe.Pointer) int {
	n, at := d.arrayHead(pos)
	if at < 0 {
		if d.isNil(pos) {
			*(*[]string)(p) = nil
			return pos + 1
		}
		return d.mismatch(pos, "[]string")
	}
	if !d.enter() {
		return -1
	}
	made := make([]string, n)
	for i := range made {
		if at = d.string(at, &made[i]); at < 0 {
			return -1
		}
	}
	*(*[]string)(p) = made
	d.leave()
	return at
}

// decodeMapOf is decodeMap without reflection, for the common types of values.
func decodeMapOf[V any](value func(*decoder, int) (V, int)) func(*decoder, int, unsafe.Pointer) int {
	return func(d *decoder, pos int, p unsafe.Pointer) int {
		m, next := readMap(d, pos, value)
		*(*map[string]V)(p) = m
		return next
	}
}

func readMap[V any](d *decoder, pos int, value func(*decoder, int) (V, int)) (map[string]V, int) {
	n, at := d.mapHead(pos)
	if at < 0 {
		if d.isNil(pos) {
			return nil, pos + 1
		}
		return nil, d.mismatch(pos, "a map")
	}
	if !d.enter() {
		return nil, -1
	}
	m := make(map[string]V, n)
	for range n {
		size, from := d.stringHead(at)
		if from < 0 {
			return nil, d.malformed(at)
		}
		name := d.text(from, size)
		var v V
		if v, at = value(d, from+size); at < 0 {
			return nil, d.inField(name)
		}
		m[name] = v
	}
	d.leave()
	return m, at
}

func decodeMap(elem *plan, t reflect.Type) func(*decoder, int, unsafe.Pointer) int {
	return func(d *decoder, pos int, p unsafe.Pointer) int {
		to := reflect.NewAt(t, p).Elem()
		n, at := d.mapHead(pos)
		if at < 0 {
			if d.isNil(pos) {
				to.SetZero()
				return pos + 1
			}
			return d.mismatch(pos, t)
		}
		if !d.enter() {
			return -1
		}
		m := reflect.MakeMapWithSize(t, n)
		key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		for range n {
			size, from := d.stringHead(at)
			if from < 0 {
				return d.malformed(at)
			}
			name := d.text(from, size)
			value.SetZero()
			if at = elem.decode(d, from+size, value.Addr().UnsafePointer()); at < 0 {
				return d.inField(name)
			}
			key.SetString(name)
			m.SetMapIndex(key, value)
		}
		to.Set(m)
		d.leave()
		return at
	}
}

func decodeD(d *decoder, pos int, p unsafe.Pointer) int {
	before := d.ordered
	d.ordered = true
	v, next := d.d(pos)
	*(*D)(p) = v
	d.ordered = before
	return next
}

func (d *decoder) d(pos int) (D, int) {
	n, at := d.mapHead(pos)
	if at < 0 {
		if d.isNil(pos) {
			return nil, pos + 1
		}
		return nil, d.mismatch(pos, "a D")
	}
	if !d.enter() {
		return nil, -1
	}
	v := make(D, n)
	for i := range v {
		size, from := d.stringHead(at)
		if from < 0 {
			return nil, d.malformed(at)
		}
		v[i].Name = d.text(from, size)
		if v[i].Value, at = d.any(from + size); at < 0 {
			return nil, d.inField(v[i].Name)
		}
	}
	d.leave()
	return v, at
}

func decodeAny(d *decoder, pos int, p unsafe.Pointer) int {
	v, next := d.any(pos)
	*(*any)(p) = v
	return next
}

// any reads a value of any type: nil, bool, int64, uint64 above the largest int64, float64, string, []byte,
// []any, map[string]any (or D), time.Time, Ext.
func (d *decoder) any(pos int) (any, int) {
	if pos >= len(d.buf) {
		return nil, d.malformed(pos)
	}
	c := d.buf[pos]
	switch {
	case c < 0x80, c >= wireNegative, c >= wireUint8 && c <= wireInt64:
		v, large, next := d.integer(pos)
		switch {
		case next < 0:
			return nil, d.malformed(pos)
		case large:
			return uint64(v), next
		}
		return v, next
	case c < wireFixArray, c == wireMap16, c == wireMap32:
		return d.anyMap(pos)
	case c < wireFixStr, c == wireArray16, c == wireArray32:
		return d.anyArray(pos)
	case c < wireNil, c >= wireStr8 && c <= wireStr32:
		n, at := d.stringHead(pos)
		if at < 0 {
			return nil, d.malformed(pos)
		}
		return d.text(at, n), at + n
	case c == wireNil:
		return nil, pos + 1
	case c == wireFalse, c == wireTrue:
		return c == wireTrue, pos + 1
	case c >= wireBin8 && c <= wireBin32:
		n, at := d.binHead(pos)
		if at < 0 {
			return nil, d.malformed(pos)
		}
		return d.slice(at, n), at + n
	case c == wireFloat32, c == wireFloat64:
		v, next := d.float(pos)
		return v, next
	}
	return d.anyExt(pos)
}

func (d *decoder) anyMap(pos int) (any, int) {
	if d.ordered {
		v, next := d.d(pos)
		if next < 0 {
			return nil, d.malformed(pos)
		}
		return v, next
	}
	v, next := readMap(d, pos, (*decoder).any)
	if next < 0 {
		return nil, d.malformed(pos)
	}
	return v, next
}

func (d *decoder) anyArray(pos int) (any, int) {
	n, at := d.arrayHead(pos)
	if at < 0 {
		return nil, d.malformed(pos)
	}
	if !d.enter() {
		return nil, -1
	}
	v := make([]any, n)
	for i := range v {
		if v[i], at = d.any(at); at < 0 {
			return nil, -1
		}
	}
	d.leave()
	return v, at
}

func (d *decoder) anyExt(pos int) (any, int) {
	code, at, n := extHead(d.buf, pos)
	if at < 0 {
		return nil, d.malformed(pos)
	}
	if code != extTimestamp {
		return d.ext(code, at, n), at + n
	}
	t, ok := timeOf(d.buf[at : at+n])
	if !ok {
		return nil, d.malformed(pos)
	}
	return t, at + n
}

// skip returns the position after the value at pos, or -1.
func skip(buf []byte, pos int) int {
	d := decoder{buf: buf}
	// Values still to pass over. A container adds its elements, so that no depth needs a stack.
	for left := 1; left > 0; left-- {
		if pos < 0 || pos >= len(buf) {
			return -1
		}
		size, elements := 0, 0
		switch c := buf[pos]; {
		case c < wireFixMap, c >= wireNegative, c == wireNil, c == wireFalse, c == wireTrue:
			size = 1
		case c < wireFixArray:
			size, elements = 1, 2*int(c&0x0f)
		case c < wireFixStr:
			size, elements = 1, int(c&0x0f)
		case c < wireNil:
			size = 1 + int(c&0x1f)
		case c == wireUnused:
			return -1
		case c == wireFloat32:
			size = 5
		case c == wireFloat64:
			size = 9
		case c >= wireUint8 && c <= wireInt64:
			size = 1 + 1<<((c-wireUint8)&3)
		case c >= wireFixExt1 && c <= wireFixExt16:
			size = 2 + 1<<(c-wireFixExt1)
		default:
			size, elements = d.sized(pos, c)
		}
		if size <= 0 || size > len(buf)-pos || elements > len(buf)-pos {
			return -1
		}
		pos += size
		left += elements
	}
	return pos
}

// sized is the size of a head with a length, with the bytes that it announces, and the values that follow.
func (d *decoder) sized(pos int, c byte) (size, elements int) {
	var n, next int
	switch {
	case c >= wireBin8 && c <= wireBin32:
		n, next = d.length(pos+1, 1<<(c-wireBin8))
	case c >= wireExt8 && c <= wireExt32:
		n, next = d.length(pos+1, 1<<(c-wireExt8))
		n++
	case c >= wireStr8 && c <= wireStr32:
		n, next = d.length(pos+1, 1<<(c-wireStr8))
	case c == wireArray16, c == wireArray32:
		n, next = d.length(pos+1, 2<<(c-wireArray16))
		return next - pos, n
	default:
		n, next = d.length(pos+1, 2<<(c-wireMap16))
		return next - pos, 2 * n
	}
	if next < 0 {
		return -1, 0
	}
	return next - pos + n, 0
}
