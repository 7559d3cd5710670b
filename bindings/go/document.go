//go:build cgo

package nyro

import "github.com/nyrodb/nyro/bindings/go/internal/codec"

// M is a document without a type of its own. Fields are written in the order of their names.
type M = map[string]any

// D is a document, or a map inside one, that keeps the order of its fields:
//
//	nyro.D{{Name: "_id", Value: 1}, {Name: "name", Value: "Ada"}}
//
// Get(name) gives the value of a field, and whether there is one.
type D = codec.D

// Field is a name and its value in a [D]: struct { Name string; Value any }.
type Field = codec.Field

// Raw is a document, or a value inside one, as the MessagePack bytes that are stored ([]byte). A collection
// of Raw skips encoding and decoding; the database still checks what is written.
type Raw = codec.Raw

// Ext is a MessagePack extension other than the timestamp: struct { Code int8; Data []byte }. Codes 48 to 63
// are reserved for NyroDB and refused.
type Ext = codec.Ext

// ID is the _id of a document: an integer, a string or bytes. Two are == when they are the same id, so an ID
// can be a map key. The zero ID is none. Its methods: Int64, Uint64, Text, Bytes, Value, String, IsZero.
type ID = codec.ID

// IntID is the id that is this integer.
func IntID(v int64) ID { return codec.IntID(v) }

// UintID is the id that is this integer.
func UintID(v uint64) ID { return codec.UintID(v) }

// StringID is the id that is this string.
func StringID(v string) ID { return codec.StringID(v) }

// BytesID is the id that is a copy of these bytes. It differs from the string with the same bytes.
func BytesID(v []byte) ID { return codec.BytesID(v) }

// Marshal gives the MessagePack bytes of a value, as they are stored in a document.
func Marshal(value any) (Raw, error) {
	data, err := codec.Append(nil, value)
	return data, wrapCodec(err)
}

// Unmarshal reads MessagePack bytes into what target points to. Strings and byte slices that are read lie
// inside data, which must not be changed from here on.
func Unmarshal(data []byte, target any) error {
	return wrapCodec(codec.Decode(data, target))
}
