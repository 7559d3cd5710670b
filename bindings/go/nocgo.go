//go:build !cgo

package nyro

// NyroDB's engine is a C library: this package needs cgo. Set CGO_ENABLED=1 and install a C compiler.
// Without them the build stops here, rather than in a program that has been shipped.
var _ = nyro_needs_cgo__set_CGO_ENABLED_to_1_and_install_a_C_compiler
