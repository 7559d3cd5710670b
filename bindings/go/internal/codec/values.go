package codec

// Raw is one MessagePack value as it is stored. Written, its bytes go in as they are (the database checks
// them); read, it is a slice of the document.
type Raw []byte

// Ext is a MessagePack extension that is not a timestamp: an application's own type. Codes 48 to 63 are
// reserved for NyroDB and refused; -1 is the timestamp, see time.Time.
type Ext struct {
	Code int8
	Data []byte
}

// Field is a name and its value in a D.
type Field struct {
	Name  string
	Value any
}

// D is a document, or a map inside one, that keeps the order of its fields. Maps inside a D are read as D.
type D []Field

// Get is the value of the field with this name, and whether there is one.
func (d D) Get(name string) (any, bool) {
	for i := range d {
		if d[i].Name == name {
			return d[i].Value, true
		}
	}
	return nil, false
}
