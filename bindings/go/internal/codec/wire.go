package codec

import (
	"encoding/binary"
	"math"
	"time"
)

// The first byte of a MessagePack value. Below 0x80 is the integer itself; then, with their length or value
// in the low bits, fixmap 0x80, fixarray 0x90, fixstr 0xa0, and from 0xe0 the integers -32 to -1.
const (
	wireFixMap   = 0x80
	wireFixArray = 0x90
	wireFixStr   = 0xa0
	wireNil      = 0xc0
	wireUnused   = 0xc1
	wireFalse    = 0xc2
	wireTrue     = 0xc3
	wireBin8     = 0xc4
	wireBin16    = 0xc5
	wireBin32    = 0xc6
	wireExt8     = 0xc7
	wireExt16    = 0xc8
	wireExt32    = 0xc9
	wireFloat32  = 0xca
	wireFloat64  = 0xcb
	wireUint8    = 0xcc
	wireUint16   = 0xcd
	wireUint32   = 0xce
	wireUint64   = 0xcf
	wireInt8     = 0xd0
	wireInt16    = 0xd1
	wireInt32    = 0xd2
	wireInt64    = 0xd3
	wireFixExt1  = 0xd4
	wireFixExt2  = 0xd5
	wireFixExt4  = 0xd6
	wireFixExt8  = 0xd7
	wireFixExt16 = 0xd8
	wireStr8     = 0xd9
	wireStr16    = 0xda
	wireStr32    = 0xdb
	wireArray16  = 0xdc
	wireArray32  = 0xdd
	wireMap16    = 0xde
	wireMap32    = 0xdf
	wireNegative = 0xe0
)

// extTimestamp is the code of the extension that is a point in time.
const extTimestamp = -1

var big = binary.BigEndian

// AppendInt writes an integer in its shortest form.
func AppendInt(buf []byte, v int64) []byte {
	switch {
	case v >= 0:
		return AppendUint(buf, uint64(v))
	case v >= -32:
		return append(buf, byte(v))
	case v >= math.MinInt8:
		return append(buf, wireInt8, byte(v))
	case v >= math.MinInt16:
		return big.AppendUint16(append(buf, wireInt16), uint16(v))
	case v >= math.MinInt32:
		return big.AppendUint32(append(buf, wireInt32), uint32(v))
	}
	return big.AppendUint64(append(buf, wireInt64), uint64(v))
}

// AppendUint writes an integer in its shortest form.
func AppendUint(buf []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(buf, byte(v))
	case v <= math.MaxUint8:
		return append(buf, wireUint8, byte(v))
	case v <= math.MaxUint16:
		return append(buf, wireUint16, byte(v>>8), byte(v))
	case v <= math.MaxUint32:
		return append(buf, wireUint32, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return big.AppendUint64(append(buf, wireUint64), v)
}

// AppendString writes a string.
func AppendString(buf []byte, s string) []byte {
	return append(appendStringHead(buf, len(s)), s...)
}

func appendStringHead(buf []byte, n int) []byte {
	switch {
	case n < 32:
		return append(buf, wireFixStr|byte(n))
	case n <= math.MaxUint8:
		return append(buf, wireStr8, byte(n))
	}
	return appendLength(buf, wireStr16, n)
}

// AppendBytes writes a binary.
func AppendBytes(buf, b []byte) []byte {
	if n := len(b); n <= math.MaxUint8 {
		buf = append(buf, wireBin8, byte(n))
	} else {
		buf = appendLength(buf, wireBin16, n)
	}
	return append(buf, b...)
}

// appendLength writes a length of two bytes after code16, or of four after the code that follows it. What
// is longer than that is longer than any document may be; the database says so.
func appendLength(buf []byte, code16 byte, n int) []byte {
	if n <= math.MaxUint16 {
		return append(buf, code16, byte(n>>8), byte(n))
	}
	return big.AppendUint32(append(buf, code16+1), uint32(min(n, math.MaxUint32)))
}

func appendArrayHead(buf []byte, n int) []byte {
	if n < 16 {
		return append(buf, wireFixArray|byte(n))
	}
	return appendLength(buf, wireArray16, n)
}

func appendMapHead(buf []byte, n int) []byte {
	if n < 16 {
		return append(buf, wireFixMap|byte(n))
	}
	return appendLength(buf, wireMap16, n)
}

func appendFloat64(buf []byte, v float64) []byte {
	return big.AppendUint64(append(buf, wireFloat64), math.Float64bits(v))
}

func appendFloat32(buf []byte, v float32) []byte {
	return big.AppendUint32(append(buf, wireFloat32), math.Float32bits(v))
}

// appendTime writes the shortest of the three forms of a timestamp. The location is not stored.
func appendTime(buf []byte, t time.Time) []byte {
	seconds, nanoseconds := t.Unix(), uint64(t.Nanosecond())
	switch {
	case seconds>>34 != 0:
		buf = append(buf, wireExt8, 12, 0xff)
		return big.AppendUint64(big.AppendUint32(buf, uint32(nanoseconds)), uint64(seconds))
	case nanoseconds == 0 && seconds <= math.MaxUint32:
		return big.AppendUint32(append(buf, wireFixExt4, 0xff), uint32(seconds))
	}
	return big.AppendUint64(append(buf, wireFixExt8, 0xff), nanoseconds<<34|uint64(seconds))
}

func appendExt(buf []byte, code int8, data []byte) []byte {
	switch n := len(data); n {
	case 1, 2, 4, 8, 16:
		// 1 2 4 8 16 are the codes 0xd4 to 0xd8.
		buf = append(buf, wireFixExt1+byte(log2(n)))
	default:
		if n <= math.MaxUint8 {
			buf = append(buf, wireExt8, byte(n))
		} else {
			buf = appendLength(buf, wireExt16, n)
		}
	}
	return append(append(buf, byte(code)), data...)
}

func log2(n int) int {
	power := 0
	for n > 1 {
		n >>= 1
		power++
	}
	return power
}
