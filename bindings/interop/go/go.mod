module interop

go 1.24

require github.com/nyrodb/nyro/bindings/go v0.0.0

replace github.com/nyrodb/nyro/bindings/go => ../../go
