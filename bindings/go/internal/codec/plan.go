package codec

import (
	"encoding"
	"encoding/binary"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// plan is how one type is written and read, found out once.
type plan struct {
	typ    reflect.Type
	kind   kind
	encode func(e *encoder, p unsafe.Pointer)
	// decode reads the value at pos into p, where the zero value of the type is. It returns the position after
	// the value, or -1 with d.err set. A null leaves the zero value.
	decode func(d *decoder, pos int, p unsafe.Pointer) int
	// empty says whether the value is one that omitempty leaves out.
	empty func(p unsafe.Pointer) bool
	// aliases: a value that was read may hold on to the document's bytes.
	aliases bool
	// plain: nothing of the caller's, and nothing of package reflect, is given a pointer to the value.
	plain bool
	// direct: an interface holds the value itself, not a pointer to it.
	direct bool
}

// kind is what a struct's loop over its fields handles without a call through the plan.
type kind uint8

const (
	kindOther kind = iota
	kindBool
	kindInt
	kindInt8
	kindInt16
	kindInt32
	kindInt64
	kindUint
	kindUint8
	kindUint16
	kindUint32
	kindUint64
	kindFloat32
	kindFloat64
	kindString
)

var kinds = map[reflect.Kind]kind{
	reflect.Bool: kindBool, reflect.Int: kindInt, reflect.Int8: kindInt8, reflect.Int16: kindInt16,
	reflect.Int32: kindInt32, reflect.Int64: kindInt64, reflect.Uint: kindUint, reflect.Uint8: kindUint8,
	reflect.Uint16: kindUint16, reflect.Uint32: kindUint32, reflect.Uint64: kindUint64, reflect.Uintptr: kindUint,
	reflect.Float32: kindFloat32, reflect.Float64: kindFloat64, reflect.String: kindString,
}

var (
	typeTime = reflect.TypeFor[time.Time]()
	typeRaw  = reflect.TypeFor[Raw]()
	typeExt  = reflect.TypeFor[Ext]()
	typeD    = reflect.TypeFor[D]()
	typeID   = reflect.TypeFor[ID]()
	typeAny  = reflect.TypeFor[any]()

	typeMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

var (
	plans     sync.Map // reflect.Type -> *plan; complete plans only
	compiling sync.Mutex
)

func planOf(t reflect.Type) (*plan, error) {
	if found, ok := plans.Load(t); ok {
		return found.(*plan), nil
	}
	compiling.Lock()
	defer compiling.Unlock()
	c := compiler{building: map[reflect.Type]*plan{}}
	p, err := c.plan(t)
	if err != nil {
		return nil, errorf(CodeSerialization, "type %v can't be stored: %s", t, err.Message)
	}
	for t, p := range c.building {
		plans.LoadOrStore(t, p)
	}
	return p, nil
}

// compiler makes a plan and those of the types inside. A type may hold itself, so a plan is entered before it
// is finished, and used through its pointer.
type compiler struct {
	building map[reflect.Type]*plan
}

func (c *compiler) plan(t reflect.Type) (*plan, *Error) {
	if found, ok := plans.Load(t); ok {
		return found.(*plan), nil
	}
	if found, ok := c.building[t]; ok {
		return found, nil
	}
	// Until it is known, the careful answer: a type that holds itself holds on to the bytes.
	p := &plan{typ: t, aliases: true, direct: isDirect(t)}
	c.building[t] = p
	err := c.fill(p, t)
	return p, err
}

func (c *compiler) fill(p *plan, t reflect.Type) *Error {
	p.empty = emptyOf(t)
	switch {
	case t == typeTime:
		p.encode, p.decode, p.aliases, p.plain = encodeTime, decodeTime, false, true
	case t == typeRaw:
		p.encode, p.decode, p.plain = encodeRaw, decodeRaw, true
	case t == typeExt:
		p.encode, p.decode, p.plain = encodeExt, decodeExt, true
	case t == typeID:
		p.encode, p.decode, p.aliases, p.plain = encodeID, decodeID, false, true
	case t == typeD:
		p.encode, p.decode, p.plain = encodeD, decodeD, true
	case t == typeAny:
		p.encode, p.decode, p.plain = encodeAny, decodeAny, true
	case t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(typeMarshaler):
		p.encode, p.decode = encodeText(t), decodeText(t)
	default:
		return c.fillByKind(p, t)
	}
	return nil
}

func (c *compiler) fillByKind(p *plan, t reflect.Type) *Error {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr, reflect.Float32,
		reflect.Float64, reflect.String:
		p.kind = kinds[t.Kind()]
		p.encode, p.decode = encodeBasic(p.kind), decodeBasic(p.kind)
		p.aliases, p.plain = p.kind == kindString, true
		return nil
	case reflect.Pointer:
		if pointerDepth(t) > maxPointerDepth {
			return errorf(CodeSerialization, "%v is a pointer to a pointer without end", t)
		}
		elem, err := c.plan(t.Elem())
		if err != nil {
			return err
		}
		p.encode, p.decode = encodePointer(elem), decodePointer(elem)
		p.aliases = elem.aliases
		return nil
	case reflect.Interface:
		// Which type to make can't be known when reading.
		p.encode, p.decode = encodeInterface(t), decodeInterface(t)
		return nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			p.encode, p.decode, p.plain = encodeBytes, decodeBytes, true
			return nil
		}
		return c.fillSlice(p, t)
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			p.encode, p.decode, p.aliases, p.plain = encodeByteArray(t.Len()), decodeByteArray(t.Len()), false, true
			return nil
		}
		elem, err := c.plan(t.Elem())
		if err != nil {
			return err
		}
		p.encode, p.decode = encodeArray(elem, t.Len()), decodeArray(elem, t)
		p.aliases = elem.aliases
		return nil
	case reflect.Map:
		return c.fillMap(p, t)
	case reflect.Struct:
		return c.fillStruct(p, t)
	}
	return errorf(CodeSerialization, "%v has no form in a document; leave the field out with the tag `nyro:\"-\"`", t)
}

// maxPointerDepth is how many pointers may lie one behind the other in a type. A type such as
// `type P *P` has no end.
const maxPointerDepth = 8

func pointerDepth(t reflect.Type) int {
	depth := 0
	for ; t.Kind() == reflect.Pointer && depth <= maxPointerDepth; t = t.Elem() {
		depth++
	}
	return depth
}

func (c *compiler) fillSlice(p *plan, t reflect.Type) *Error {
	elem, err := c.plan(t.Elem())
	if err != nil {
		return err
	}
	p.encode, p.decode, p.aliases = encodeSlice(elem), decodeSlice(elem, t), elem.aliases
	if t.Elem() == reflect.TypeFor[string]() {
		p.encode, p.decode, p.plain = encodeStrings, decodeStrings, true
	}
	return nil
}

func (c *compiler) fillMap(p *plan, t reflect.Type) *Error {
	if t.Key().Kind() != reflect.String {
		return errorf(CodeSerialization, "the keys of a map are strings, those of %v are not", t)
	}
	elem, err := c.plan(t.Elem())
	if err != nil {
		return err
	}
	p.encode, p.decode = encodeMap(elem, t), decodeMap(elem, t)
	switch {
	case t.Key() != reflect.TypeFor[string]():
	case t.Elem() == typeAny:
		p.encode, p.decode, p.plain = encodeMapOf((*encoder).any), decodeMapOf((*decoder).any), true
	case t.Elem() == reflect.TypeFor[string]():
		p.encode, p.decode, p.plain = encodeMapOf((*encoder).string), decodeMapOf((*decoder).stringValue), true
	}
	return nil
}

func (c *compiler) fillStruct(p *plan, t reflect.Type) *Error {
	s := &structPlan{typ: t}
	found := fieldsOf(t)
	for _, f := range found {
		if f.ambiguous {
			return errorf(CodeSerialization, "two fields of %v are called %q", t, f.name)
		}
		fieldPlan, err := c.plan(f.typ)
		if err != nil {
			return errorf(err.Code, "field %s: %s", f.goName, err.Message)
		}
		s.add(f, fieldPlan)
	}
	if len(found) == 0 && t.NumField() > 0 {
		return errorf(CodeSerialization, "%v has no exported field", t)
	}
	p.encode, p.decode = s.encode, s.decode
	p.aliases, p.plain = false, true
	for i := range s.fields {
		f := &s.fields[i]
		p.aliases = p.aliases || f.plan.aliases
		p.plain = p.plain && f.plan.plain && f.hops == nil && (!f.omit || f.kind != kindOther)
	}
	return nil
}

// structPlan is the plan of a struct: its fields in the order in which they are written, _id first.
type structPlan struct {
	typ    reflect.Type
	fields []field
	byName map[string]int
	omits  bool
}

// field is one field of a struct.
type field struct {
	plan   *plan
	offset uintptr
	kind   kind
	// omit: left out when it is empty.
	omit bool
	// name as it stands in a document, with its length in front.
	head string
	// word and mask compare the first eight bytes of head in one step.
	word, mask uint64
	// hops are the pointers to embedded structs on the way; offset counts from the last of them.
	hops []hop
	// name without its length.
	name string
}

// hop is a pointer to an embedded struct: where it is, and what it points to.
type hop struct {
	offset uintptr
	typ    reflect.Type
}

func (s *structPlan) add(from foundField, plan *plan) {
	f := field{plan: plan, kind: plan.kind, offset: from.offset, omit: from.omit, hops: from.hops, name: from.name}
	f.head = string(AppendString(nil, f.name))
	var word, mask [8]byte
	for i := range min(8, len(f.head)) {
		word[i], mask[i] = f.head[i], 0xff
	}
	f.word, f.mask = binary.LittleEndian.Uint64(word[:]), binary.LittleEndian.Uint64(mask[:])
	s.omits = s.omits || f.omit || len(f.hops) > 0
	if s.byName == nil {
		s.byName = map[string]int{}
	}
	if f.name == "_id" {
		s.fields = append([]field{f}, s.fields...)
	} else {
		s.fields = append(s.fields, f)
	}
	for i := range s.fields {
		s.byName[s.fields[i].name] = i
	}
}

// address is where the field is, or nil when an embedded pointer on the way is nil.
func (f *field) address(p unsafe.Pointer) unsafe.Pointer {
	for _, h := range f.hops {
		if p = *(*unsafe.Pointer)(unsafe.Add(p, h.offset)); p == nil {
			return nil
		}
	}
	return unsafe.Add(p, f.offset)
}

// makeAddress is where the field is; embedded structs on the way are made.
func (f *field) makeAddress(p unsafe.Pointer) unsafe.Pointer {
	for _, h := range f.hops {
		at := (*unsafe.Pointer)(unsafe.Add(p, h.offset))
		if *at == nil {
			*at = reflect.New(h.typ).UnsafePointer()
		}
		p = *at
	}
	return unsafe.Add(p, f.offset)
}

// foundField is a field of a struct or of one embedded in it.
type foundField struct {
	name, goName string
	typ          reflect.Type
	offset       uintptr
	hops         []hop
	omit         bool
	depth        int
	ambiguous    bool
}

// fieldsOf lists the fields of a struct. Those of embedded structs without a tag are its own; of two with one
// name the one that is less deep counts, as in the language itself.
func fieldsOf(t reflect.Type) []foundField {
	var found []foundField
	collectFields(t, 0, nil, 0, map[reflect.Type]bool{}, &found)
	var kept []foundField
	for _, f := range found {
		at := -1
		for i := range kept {
			if kept[i].name == f.name {
				at = i
			}
		}
		switch {
		case at < 0:
			kept = append(kept, f)
		case f.depth < kept[at].depth:
			kept[at] = f
		case f.depth == kept[at].depth:
			kept[at].ambiguous = true
		}
	}
	return kept
}

func collectFields(t reflect.Type, offset uintptr, hops []hop, depth int, inside map[reflect.Type]bool,
	found *[]foundField,
) {
	if inside[t] {
		return
	}
	inside[t] = true
	defer delete(inside, t)
	for i := range t.NumField() {
		sf := t.Field(i)
		name, omit, tagged, skip := parseTag(sf)
		if skip {
			continue
		}
		if embedded, pointer := embeddedStruct(sf); embedded != nil && !tagged {
			switch {
			case !pointer:
				collectFields(embedded, offset+sf.Offset, hops, depth+1, inside, found)
			case sf.IsExported():
				through := append(hops[:len(hops):len(hops)], hop{offset + sf.Offset, embedded})
				collectFields(embedded, 0, through, depth+1, inside, found)
			}
			continue
		}
		if sf.IsExported() {
			*found = append(*found, foundField{
				name: name, goName: sf.Name, typ: sf.Type, offset: offset + sf.Offset, hops: hops, omit: omit, depth: depth,
			})
		}
	}
}

// embeddedStruct is the struct type that an embedded field brings in, and whether through a pointer.
func embeddedStruct(sf reflect.StructField) (embedded reflect.Type, pointer bool) {
	if !sf.Anonymous {
		return nil, false
	}
	t := sf.Type
	if t.Kind() == reflect.Pointer {
		t, pointer = t.Elem(), true
	}
	if t.Kind() != reflect.Struct || t == typeTime || t == typeExt || reflect.PointerTo(t).Implements(typeMarshaler) {
		return nil, false
	}
	return t, pointer
}

// parseTag reads `nyro:"name,omitempty"`, and where there is none the json tag.
func parseTag(sf reflect.StructField) (name string, omit, tagged, skip bool) {
	tag, ok := sf.Tag.Lookup("nyro")
	fromJSON := false
	if !ok {
		tag, fromJSON = sf.Tag.Get("json"), true
	}
	if tag == "-" {
		return "", false, false, true
	}
	parts := strings.Split(tag, ",")
	for _, option := range parts[1:] {
		omit = omit || option == "omitempty" || option == "omitzero"
	}
	if parts[0] == "" || (fromJSON && !plainName(parts[0])) {
		return sf.Name, omit, false, false
	}
	return parts[0], omit, true, false
}

// plainName: encoding/json ignores names with other characters, so they are no names here either.
func plainName(name string) bool {
	for _, r := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return utf8.ValidString(name)
}

// isDirect says whether an interface that holds this type holds the value itself: pointers, and what consists
// of one pointer only.
func isDirect(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return true
	case reflect.Struct:
		return t.NumField() == 1 && isDirect(t.Field(0).Type)
	case reflect.Array:
		return t.Len() == 1 && isDirect(t.Elem())
	}
	return false
}

// emptyOf says what omitempty leaves out of this type: the zero value, and a slice or map without elements.
func emptyOf(t reflect.Type) func(unsafe.Pointer) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Uint8:
		return func(p unsafe.Pointer) bool { return *(*uint8)(p) == 0 }
	case reflect.Int16, reflect.Uint16:
		return func(p unsafe.Pointer) bool { return *(*uint16)(p) == 0 }
	case reflect.Int32, reflect.Uint32:
		return func(p unsafe.Pointer) bool { return *(*uint32)(p) == 0 }
	case reflect.Int64, reflect.Uint64:
		return func(p unsafe.Pointer) bool { return *(*uint64)(p) == 0 }
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		return func(p unsafe.Pointer) bool { return *(*uint)(p) == 0 }
	case reflect.String:
		return func(p unsafe.Pointer) bool { return *(*string)(p) == "" }
	case reflect.Slice:
		// Every slice has its length at the same place.
		return func(p unsafe.Pointer) bool { return len(*(*[]struct{})(p)) == 0 }
	case reflect.Pointer, reflect.Interface:
		// The first word of an interface is nil when it holds nothing.
		return func(p unsafe.Pointer) bool { return *(*unsafe.Pointer)(p) == nil }
	case reflect.Map:
		return func(p unsafe.Pointer) bool { return reflect.NewAt(t, p).Elem().Len() == 0 }
	}
	if t.Implements(reflect.TypeFor[interface{ IsZero() bool }]()) {
		return func(p unsafe.Pointer) bool {
			return reflect.NewAt(t, p).Elem().Interface().(interface{ IsZero() bool }).IsZero()
		}
	}
	return func(p unsafe.Pointer) bool { return reflect.NewAt(t, p).Elem().IsZero() }
}
