package codec

import (
	"encoding"
	"encoding/binary"
	"reflect"
	"slices"
	"time"
	"unsafe"
)

// maxHops is how many pointers and interfaces may lie on the way to a value. Only a cycle has more.
const maxHops = 1000

// encoder writes values at the end of buf. The first error stays; what is written after it is dropped.
type encoder struct {
	buf   []byte
	depth int
	hops  int
	err   *Error
}

// finish is the result of writing at the end of buf.
func (e *encoder) finish(buf []byte) ([]byte, error) {
	if e.err != nil {
		return buf, e.err
	}
	return e.buf, nil
}

func (e *encoder) fail(err *Error) {
	if e.err == nil {
		e.err = err
	}
}

// enter goes one level deeper. False: there is an error, and nothing more to do.
func (e *encoder) enter() bool {
	e.depth++
	if e.depth > MaxDepth {
		e.fail(errorf(CodeTooDeep, "the document nests deeper than %d levels, or holds itself", MaxDepth))
	}
	return e.err == nil
}

func (e *encoder) leave() { e.depth-- }

// hop follows a pointer or an interface.
func (e *encoder) hop() bool {
	e.hops++
	if e.hops > maxHops {
		e.fail(errorf(CodeTooDeep, "the document holds itself: a chain of more than %d pointers", maxHops))
	}
	return e.err == nil
}

func (e *encoder) nil() { e.buf = append(e.buf, wireNil) }

func (e *encoder) bool(v bool) {
	if v {
		e.buf = append(e.buf, wireTrue)
	} else {
		e.buf = append(e.buf, wireFalse)
	}
}

func (e *encoder) string(s string) { e.buf = AppendString(e.buf, s) }

// room is the space that a field's name of up to eight bytes and a number take.
const room = 8 + 9

// encode writes a struct as a map. The loop writes names and plain values itself; all else goes through the
// plan of the field.
func (s *structPlan) encode(e *encoder, p unsafe.Pointer) {
	if !e.enter() {
		return
	}
	start, count := len(e.buf), len(s.fields)
	if s.omits && count > 15 {
		count = s.count(p)
	}
	e.buf = appendMapHead(e.buf, count)
	written := 0
	for i := range s.fields {
		f := &s.fields[i]
		q := unsafe.Add(p, f.offset)
		if f.omit || f.hops != nil {
			if f.hops != nil {
				q = f.address(p)
			}
			if q == nil || (f.omit && f.plan.empty(q)) {
				continue
			}
		}
		written++
		buf := e.buf
		if n := len(buf); len(f.head) <= 8 && cap(buf)-n >= room {
			binary.LittleEndian.PutUint64(buf[n:n+8], f.word)
			buf = buf[:n+len(f.head)]
		} else {
			buf = append(buf, f.head...)
		}
		switch f.kind {
		case kindString:
			s := *(*string)(q)
			e.buf = append(appendStringHead(buf, len(s)), s...)
		case kindInt64:
			e.buf = AppendInt(buf, *(*int64)(q))
		case kindInt:
			e.buf = AppendInt(buf, int64(*(*int)(q)))
		case kindInt32:
			e.buf = AppendInt(buf, int64(*(*int32)(q)))
		case kindFloat64:
			e.buf = appendFloat64(buf, *(*float64)(q))
		case kindBool:
			e.buf = append(buf, wireFalse|*(*byte)(q)&1)
		default:
			e.buf = buf
			f.plan.encode(e, q)
			if e.err != nil {
				return
			}
		}
	}
	if s.omits && count <= 15 {
		e.buf[start] = wireFixMap | byte(written)
	}
	e.leave()
}

// count is the number of fields that will be written.
func (s *structPlan) count(p unsafe.Pointer) int {
	count := 0
	for i := range s.fields {
		f := &s.fields[i]
		if q := f.address(p); q != nil && !(f.omit && f.plan.empty(q)) {
			count++
		}
	}
	return count
}

func encodeBasic(k kind) func(*encoder, unsafe.Pointer) {
	switch k {
	case kindBool:
		return func(e *encoder, p unsafe.Pointer) { e.bool(*(*bool)(p)) }
	case kindInt:
		return func(e *encoder, p unsafe.Pointer) { e.buf = AppendInt(e.buf, int64(*(*int)(p))) }
	case kindInt8:
		return func(e *encoder, p unsafe.Pointer) { e.buf = AppendInt(e.buf, int64(*(*int8)(p))) }
	case kindInt16:
		return func(e *encoder, p unsafe.Pointer) { e.buf = AppendInt(e.buf, int64(*(*int16)(p))) }
	case kindInt32:
		return func(e *encoder, p unsafe.Pointer) { e.buf = AppendInt(e.buf, int64(*(*int32)(p))) }
	case kindInt64:
		return func(e *encoder, p unsafe.Pointer) { e.buf = AppendInt(e.buf, *(*int64)(p)) }
	case kindUint:
		return func(e *encoder, p unsafe.Pointer) { e.buf = AppendUint(e.buf, uint64(*(*uint)(p))) }
	case kindUint8:
		return func(e *encoder, p unsafe.Pointer) { e.buf = AppendUint(e.buf, uint64(*(*uint8)(p))) }
	case kindUint16:
		return func(e *encoder, p unsafe.Pointer) { e.buf = AppendUint(e.buf, uint64(*(*uint16)(p))) }
	case kindUint32:
		return func(e *encoder, p unsafe.Pointer) { e.buf = AppendUint(e.buf, uint64(*(*uint32)(p))) }
	case kindUint64:
		return func(e *encoder, p unsafe.Pointer) { e.buf = AppendUint(e.buf, *(*uint64)(p)) }
	case kindFloat32:
		return func(e *encoder, p unsafe.Pointer) { e.buf = appendFloat32(e.buf, *(*float32)(p)) }
	case kindFloat64:
		return func(e *encoder, p unsafe.Pointer) { e.buf = appendFloat64(e.buf, *(*float64)(p)) }
	}
	return func(e *encoder, p unsafe.Pointer) { e.string(*(*string)(p)) }
}

func encodeTime(e *encoder, p unsafe.Pointer) { e.buf = appendTime(e.buf, *(*time.Time)(p)) }

func encodeRaw(e *encoder, p unsafe.Pointer) { e.raw(*(*Raw)(p)) }

// raw writes a stored value as it is. Whether it is one, and how deep, the database finds out.
func (e *encoder) raw(v Raw) {
	if v == nil {
		e.nil()
		return
	}
	if end := skip(v, 0); end != len(v) {
		e.fail(errorf(CodeMalformed, "a Raw value is not exactly one MessagePack value"))
		return
	}
	e.buf = append(e.buf, v...)
}

func encodeExt(e *encoder, p unsafe.Pointer) { e.ext(*(*Ext)(p)) }

func (e *encoder) ext(v Ext) {
	if v.Code == extTimestamp {
		e.fail(errorf(CodeSerialization, "extension -1 is the timestamp: store a time.Time"))
		return
	}
	e.buf = appendExt(e.buf, v.Code, v.Data)
}

func encodeD(e *encoder, p unsafe.Pointer) { e.d(*(*D)(p)) }

func (e *encoder) d(v D) {
	if v == nil {
		e.nil()
		return
	}
	if !e.enter() {
		return
	}
	e.buf = appendMapHead(e.buf, len(v))
	for i := range v {
		e.string(v[i].Name)
		e.any(v[i].Value)
		if e.err != nil {
			return
		}
	}
	e.leave()
}

func encodeBytes(e *encoder, p unsafe.Pointer) { e.bytes(*(*[]byte)(p)) }

func (e *encoder) bytes(b []byte) {
	if b == nil {
		e.nil()
		return
	}
	e.buf = AppendBytes(e.buf, b)
}

func encodeByteArray(n int) func(*encoder, unsafe.Pointer) {
	return func(e *encoder, p unsafe.Pointer) { e.buf = AppendBytes(e.buf, unsafe.Slice((*byte)(p), n)) }
}

func encodeText(t reflect.Type) func(*encoder, unsafe.Pointer) {
	return func(e *encoder, p unsafe.Pointer) {
		text, err := reflect.NewAt(t, p).Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			e.fail(errorf(CodeSerialization, "%v: MarshalText: %v", t, err))
			return
		}
		e.buf = append(appendStringHead(e.buf, len(text)), text...)
	}
}

func encodePointer(elem *plan) func(*encoder, unsafe.Pointer) {
	return func(e *encoder, p unsafe.Pointer) {
		target := *(*unsafe.Pointer)(p)
		if target == nil {
			e.nil()
			return
		}
		if e.hop() {
			elem.encode(e, target)
		}
		e.hops--
	}
}

func encodeInterface(t reflect.Type) func(*encoder, unsafe.Pointer) {
	return func(e *encoder, p unsafe.Pointer) {
		v := reflect.NewAt(t, p).Elem()
		if v.IsNil() {
			e.nil()
			return
		}
		e.any(v.Elem().Interface())
	}
}

// sliceHeader is how every slice lies in memory.
type sliceHeader struct {
	data unsafe.Pointer
	len  int
	cap  int
}

func encodeSlice(elem *plan) func(*encoder, unsafe.Pointer) {
	return func(e *encoder, p unsafe.Pointer) {
		s := (*sliceHeader)(p)
		if s.data == nil {
			e.nil()
			return
		}
		e.elements(elem, s.data, s.len)
	}
}

func encodeArray(elem *plan, n int) func(*encoder, unsafe.Pointer) {
	return func(e *encoder, p unsafe.Pointer) { e.elements(elem, p, n) }
}

func (e *encoder) elements(elem *plan, first unsafe.Pointer, n int) {
	if !e.enter() {
		return
	}
	e.buf = appendArrayHead(e.buf, n)
	size := elem.typ.Size()
	for i := range n {
		elem.encode(e, unsafe.Add(first, uintptr(i)*size))
		if e.err != nil {
			return
		}
	}
	e.leave()
}

func encodeStrings(e *encoder, p unsafe.Pointer) { e.strings(*(*[]string)(p)) }

func (e *encoder) strings(v []string) {
	if v == nil {
		e.nil()
		return
	}
	if !e.enter() {
		return
	}
	e.buf = appendArrayHead(e.buf, len(v))
	for _, s := range v {
		e.string(s)
	}
	e.leave()
}

// encodeMapOf is encodeMap without reflection, for the common types of values.
func encodeMapOf[V any](value func(*encoder, V)) func(*encoder, unsafe.Pointer) {
	return func(e *encoder, p unsafe.Pointer) { writeMap(e, *(*map[string]V)(p), value) }
}

// writeMap writes a map sorted by its keys, so that equal maps are equal bytes.
func writeMap[V any](e *encoder, m map[string]V, value func(*encoder, V)) {
	if m == nil {
		e.nil()
		return
	}
	if !e.enter() {
		return
	}
	e.buf = appendMapHead(e.buf, len(m))
	var few [16]string
	keys := few[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		e.string(key)
		value(e, m[key])
		if e.err != nil {
			return
		}
	}
	e.leave()
}

func encodeMap(elem *plan, t reflect.Type) func(*encoder, unsafe.Pointer) {
	return func(e *encoder, p unsafe.Pointer) {
		m := reflect.NewAt(t, p).Elem()
		if m.IsNil() {
			e.nil()
			return
		}
		if !e.enter() {
			return
		}
		e.buf = appendMapHead(e.buf, m.Len())
		keys := m.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			switch {
			case a.String() < b.String():
				return -1
			case a.String() > b.String():
				return 1
			}
			return 0
		})
		value := reflect.New(t.Elem())
		for _, key := range keys {
			e.string(key.String())
			value.Elem().Set(m.MapIndex(key))
			elem.encode(e, value.UnsafePointer())
			if e.err != nil {
				return
			}
		}
		e.leave()
	}
}

func encodeAny(e *encoder, p unsafe.Pointer) { e.any(*(*any)(p)) }

// any writes a value of any type. The types that are read into an any go without a plan.
func (e *encoder) any(v any) {
	switch v := v.(type) {
	case nil:
		e.nil()
	case bool:
		e.bool(v)
	case int:
		e.buf = AppendInt(e.buf, int64(v))
	case int64:
		e.buf = AppendInt(e.buf, v)
	case uint64:
		e.buf = AppendUint(e.buf, v)
	case float64:
		e.buf = appendFloat64(e.buf, v)
	case string:
		e.string(v)
	case []byte:
		e.bytes(v)
	case []any:
		e.anys(v)
	case []string:
		e.strings(v)
	case map[string]any:
		writeMap(e, v, (*encoder).any)
	case D:
		e.d(v)
	case time.Time:
		e.buf = appendTime(e.buf, v)
	case Ext:
		e.ext(v)
	case Raw:
		e.raw(v)
	case ID:
		e.buf = v.append(e.buf)
	default:
		e.planned(v)
	}
}

func (e *encoder) anys(v []any) {
	if v == nil {
		e.nil()
		return
	}
	if !e.enter() {
		return
	}
	e.buf = appendArrayHead(e.buf, len(v))
	for _, element := range v {
		e.any(element)
		if e.err != nil {
			return
		}
	}
	e.leave()
}

// planned writes a value of a type that has a plan.
func (e *encoder) planned(v any) {
	plan, err := planOf(reflect.TypeOf(v))
	if err != nil {
		e.fail(err.(*Error))
		return
	}
	if !e.hop() {
		return
	}
	// An interface is two words; the second is the value, or points to it.
	word := &(*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1]
	if plan.direct {
		plan.encode(e, unsafe.Pointer(word))
	} else {
		plan.encode(e, *word)
	}
	e.hops--
}
