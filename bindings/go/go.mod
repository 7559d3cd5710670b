module github.com/nyrodb/nyro/bindings/go

go 1.24
