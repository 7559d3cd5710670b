// Package codec turns Go values into MessagePack documents and back.
//
// What a type looks like is found out once, by reflection, and kept as a plan: for each struct field its
// name as it stands in a document, its offset, and how to write and read it. After that no reflection runs.
//
//	type User struct {                      plan of User
//	    ID   int64  `nyro:"_id"`     ->     "\xa3_id"   offset 0   int64
//	    Name string `nyro:"name"`    ->     "\xa4name"  offset 8   string
//	}
//
// Reading expects the fields in the order of the plan, which is the order in which the same type writes
// them; a field in another place is searched for. Strings and byte slices that are read lie inside the
// document that was read: one copy of the document is all that is allocated for them.
//
//	document  84 a3 _id 07 a4 name a3 Ada ..      User.Name = 3 bytes in there
//	                                  ^-------------'
//
// The package knows nothing of the database.
package codec

import (
	"fmt"
	"reflect"
	"unsafe"
)

// MaxDepth is the number of levels a document may have; the document itself is the first.
const MaxDepth = 100

// MaxIDBytes is the greatest length of an _id that is a string or binary.
const MaxIDBytes = 1024

// Numbers of docs/errors.md that are found here.
const (
	CodeMalformed     = 201
	CodeTooDeep       = 203
	CodeInvalidID     = 204
	CodeSerialization = 206
)

// Error says why a value could not be written or read.
type Error struct {
	Code    uint32
	Message string
}

func (e *Error) Error() string { return e.Message }

func errorf(code uint32, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Codec writes and reads values of one type.
type Codec[T any] struct {
	plan *plan
}

// Of is the codec of T. An error says that T holds something that can't be stored, such as a channel.
func Of[T any]() (Codec[T], error) {
	plan, err := planOf(reflect.TypeFor[T]())
	return Codec[T]{plan}, err
}

// Append writes the value at the end of buf. After an error buf is as it was.
func (c Codec[T]) Append(buf []byte, value *T) ([]byte, error) {
	e := encoder{buf: buf}
	if c.plan.plain {
		c.plan.encode(stays(&e), unsafe.Pointer(stays(value)))
	} else {
		moved := new(T)
		*moved = *value
		c.plan.encode(stays(&e), unsafe.Pointer(moved))
	}
	return e.finish(buf)
}

// AppendAll writes each of the values at the end of buf and calls wrote with the length that buf has after it,
// or had before it where there is an error.
func (c Codec[T]) AppendAll(buf []byte, values []T, wrote func(i, end int, err error)) []byte {
	e := encoder{buf: buf}
	for i := range values {
		before := len(e.buf)
		c.plan.encode(stays(&e), unsafe.Pointer(&values[i]))
		if e.err != nil {
			wrote(i, before, e.err)
			e = encoder{buf: e.buf[:before]}
			continue
		}
		wrote(i, len(e.buf), nil)
	}
	return e.buf
}

// Decode reads the one value that data holds into value, which is the zero value of T. Strings and byte slices
// of the value lie inside data, which must not be changed from here on; see Aliases.
func (c Codec[T]) Decode(data []byte, value *T) error {
	d := decoder{buf: data}
	if c.plan.plain {
		return d.finish(c.plan.decode(stays(&d), 0, unsafe.Pointer(stays(value))))
	}
	moved := new(T)
	err := d.finish(c.plan.decode(stays(&d), 0, unsafe.Pointer(moved)))
	*value = *moved
	return err
}

// Aliases says whether a value that was read may hold on to the bytes it was read from.
func (c Codec[T]) Aliases() bool { return c.plan.aliases }

// Append writes any value at the end of buf. After an error buf is as it was.
func Append(buf []byte, value any) ([]byte, error) {
	e := encoder{buf: buf}
	stays(&e).any(value)
	return e.finish(buf)
}

// Decode reads the one value that data holds into target, which is a pointer. As Codec.Decode.
func Decode(data []byte, target any) error {
	pointer := reflect.ValueOf(target)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
		return errorf(CodeSerialization, "a value is read into a pointer that is not nil, not into %T", target)
	}
	plan, err := planOf(pointer.Type().Elem())
	if err != nil {
		return err
	}
	pointer.Elem().SetZero()
	d := decoder{buf: data}
	return d.finish(plan.decode(&d, 0, pointer.UnsafePointer()))
}

// stays tells the compiler that what p points to is not kept by the functions that it is given to, so that it can
// live on the stack: no plan keeps its encoder or decoder, and a plain plan does not keep the value. Checks of pointers
// and for races, which such builds add, would be calls between the two conversions, and in each the stack may move: so
// there are none here.
//
//go:nosplit
//go:nocheckptr
//go:norace
func stays[T any](p *T) *T {
	hidden := uintptr(unsafe.Pointer(p))
	// SAFETY: the same address, back as a pointer at once; no call lies between, so the stack does not move.
	return *(**T)(unsafe.Pointer(&hidden))
}

// Integers of Go are read as 64 bits. On a smaller machine this does not compile.
var _ [unsafe.Sizeof(int(0)) - 8]byte
