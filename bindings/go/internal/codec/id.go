package codec

import (
	"fmt"
	"reflect"
	"strings"
	"unsafe"
)

// ID is the _id of a document: an integer, a string or bytes. Two are == when they are the same id.
// The zero ID is none.
type ID struct {
	kind idKind
	// The integer, as the bits of an int64 unless the kind is idLarge.
	number uint64
	// The string or the bytes.
	text string
}

type idKind uint8

const (
	idNone idKind = iota
	// idInt fits an int64; idLarge is an integer above that.
	idInt
	idLarge
	idString
	idBytes
)

// IntID is the id that is this integer.
func IntID(v int64) ID { return ID{kind: idInt, number: uint64(v)} }

// UintID is the id that is this integer.
func UintID(v uint64) ID {
	if int64(v) >= 0 {
		return IntID(int64(v))
	}
	return ID{kind: idLarge, number: v}
}

// StringID is the id that is this string.
func StringID(v string) ID { return ID{kind: idString, text: v} }

// BytesID is the id that is a copy of these bytes. It differs from the string with the same bytes.
func BytesID(v []byte) ID { return ID{kind: idBytes, text: string(v)} }

// Int64 is the id as an integer, and whether it is one that an int64 holds.
func (id ID) Int64() (int64, bool) {
	if id.kind != idInt {
		return 0, false
	}
	return int64(id.number), true
}

// Uint64 is the id as an integer, and whether it is one that a uint64 holds.
func (id ID) Uint64() (uint64, bool) {
	if id.kind != idLarge && (id.kind != idInt || int64(id.number) < 0) {
		return 0, false
	}
	return id.number, true
}

// Text is the id as a string, and whether it is one.
func (id ID) Text() (string, bool) { return id.text, id.kind == idString }

// Bytes is the id as bytes, in a copy, and whether it is a binary.
func (id ID) Bytes() ([]byte, bool) {
	if id.kind != idBytes {
		return nil, false
	}
	return []byte(id.text), true
}

// Value is the id as an int64, a uint64 above the largest int64, a string, a []byte, or nil for the zero ID.
func (id ID) Value() any {
	switch id.kind {
	case idInt:
		return int64(id.number)
	case idLarge:
		return id.number
	case idString:
		return id.text
	case idBytes:
		return []byte(id.text)
	}
	return nil
}

// String is the id as text for people: 7, "ada", 0x00ff.
func (id ID) String() string {
	switch id.kind {
	case idInt:
		return fmt.Sprint(int64(id.number))
	case idLarge:
		return fmt.Sprint(id.number)
	case idString:
		return fmt.Sprintf("%q", id.text)
	case idBytes:
		return fmt.Sprintf("0x%x", id.text)
	}
	return "no id"
}

// IsZero: this is no id.
func (id ID) IsZero() bool { return id.kind == idNone }

func (id ID) append(buf []byte) []byte {
	switch id.kind {
	case idInt:
		return AppendInt(buf, int64(id.number))
	case idLarge:
		return AppendUint(buf, id.number)
	case idString:
		return AppendString(buf, id.text)
	case idBytes:
		return AppendBytes(buf, []byte(id.text))
	}
	return append(buf, wireNil)
}

// AppendID writes an id at the end of buf: any integer, string or byte slice, or an ID.
func AppendID(buf []byte, id any) ([]byte, error) {
	switch id := id.(type) {
	case int:
		return AppendInt(buf, int64(id)), nil
	case int64:
		return AppendInt(buf, id), nil
	case uint64:
		return AppendUint(buf, id), nil
	case string:
		return AppendString(buf, id), nil
	case []byte:
		return AppendBytes(buf, id), nil
	case ID:
		if id.IsZero() {
			return buf, errorf(CodeInvalidID, "the zero ID is no id")
		}
		return id.append(buf), nil
	}
	return appendOtherID(buf, reflect.ValueOf(id))
}

// appendOtherID writes an id of another type: smaller integers and the caller's own types.
func appendOtherID(buf []byte, v reflect.Value) ([]byte, error) {
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return AppendInt(buf, v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return AppendUint(buf, v.Uint()), nil
	case reflect.String:
		return AppendString(buf, v.String()), nil
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return AppendBytes(buf, v.Bytes()), nil
		}
	case reflect.Invalid:
		return buf, errorf(CodeInvalidID, "nil is no id: an id is an integer, a string or bytes")
	}
	return buf, errorf(CodeInvalidID, "%v is no id: an id is an integer, a string or bytes", v.Type())
}

// DecodeID reads the one id that data holds. The id is a copy.
func DecodeID(data []byte) (ID, error) {
	d := decoder{buf: data}
	id, next := stays(&d).id(0)
	return id, d.finish(next)
}

func encodeID(e *encoder, p unsafe.Pointer) { e.buf = (*ID)(p).append(e.buf) }

func decodeID(d *decoder, pos int, p unsafe.Pointer) int {
	if d.isNil(pos) {
		return pos + 1
	}
	id, next := d.id(pos)
	*(*ID)(p) = id
	return next
}

func (d *decoder) id(pos int) (ID, int) {
	if v, large, next := d.integer(pos); next >= 0 {
		if large {
			return UintID(uint64(v)), next
		}
		return IntID(v), next
	}
	if n, at := d.stringHead(pos); at >= 0 {
		return StringID(strings.Clone(d.text(at, n))), at + n
	}
	if n, at := d.binHead(pos); at >= 0 {
		return BytesID(d.buf[at : at+n]), at + n
	}
	if pos >= len(d.buf) {
		return ID{}, d.malformed(pos)
	}
	return ID{}, d.fail(errorf(CodeInvalidID, "%s is no id", nameOf(d.buf[pos:])))
}

// DecodeIDs reads an array of ids.
func DecodeIDs(data []byte) ([]ID, error) {
	d := decoder{buf: data}
	n, pos := d.arrayHead(0)
	if pos < 0 {
		return nil, d.finish(d.malformed(0))
	}
	ids := make([]ID, n)
	for i := range ids {
		if ids[i], pos = d.id(pos); pos < 0 {
			break
		}
	}
	return ids, d.finish(pos)
}
