//go:build cgo

package nyro

import (
	"context"
	"errors"
	"fmt"

	"github.com/nyrodb/nyro/bindings/go/internal/codec"
)

// Code is the number of an error. Numbers are stable, never reused, and the same in all languages; see
// docs/errors.md. Each is a sentinel for errors.Is.
type Code uint32

// Kind is what a program branches on: each code has one. Kinds are sentinels for errors.Is, too.
type Kind uint8

// Error is an error of the database.
type Error struct {
	// Code is its number.
	Code Code
	// Message says what is wrong and what to do.
	Message string

	kind  Kind
	cause error
}

// Error is "nyro: " and the message.
func (e *Error) Error() string { return "nyro: " + e.Message }

// Kind is the kind of the error's code; that of a bulk write is the kind of its first failure.
func (e *Error) Kind() Kind {
	if e.kind != 0 {
		return e.kind
	}
	return e.Code.Kind()
}

// Is says whether target is the error's code or its kind.
func (e *Error) Is(target error) bool {
	switch target := target.(type) {
	case Code:
		return target == e.Code
	case Kind:
		return target == e.Kind()
	}
	return false
}

// Unwrap is the context's error where a context ended the call.
func (e *Error) Unwrap() error { return e.cause }

// BulkError says which documents of InsertMany were not written. It is an [*Error] with [ErrBulkWrite], too.
type BulkError struct {
	// Inserted is how many documents were written.
	Inserted int
	// Failures are those that were not: only the first, if the write was ordered.
	Failures []BulkFailure

	err *Error
}

// BulkFailure is a document that was not written.
type BulkFailure struct {
	// Index is its place among the documents given.
	Index int
	// Err says why.
	Err *Error
}

// Error is the message.
func (e *BulkError) Error() string { return e.err.Error() }

// explain puts in the reasons of failures that the library does not know, and the kind of the first one.
func (e *BulkError) explain(reasons map[int]*Error) {
	for i := range e.Failures {
		f := &e.Failures[i]
		if reason, ok := reasons[f.Index]; ok {
			f.Err = reason
		}
		if i == 0 {
			e.err.kind = f.Err.Kind()
			e.err.Message = fmt.Sprintf("%d documents were inserted and %d failed; the first is number %d: %s",
				e.Inserted, len(e.Failures), f.Index, f.Err.Message)
		}
	}
}

// Unwrap is the error and those of the failures, so that errors.Is finds all of them.
func (e *BulkError) Unwrap() []error {
	all := []error{e.err}
	for _, failure := range e.Failures {
		all = append(all, failure.Err)
	}
	return all
}

func newError(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// errClosed is the answer of a handle that was closed, where the library is not asked.
func errClosed(what string) error { return newError(ErrClosed, "the %s is closed", what) }

// wrapCodec gives an error of the codec its place among the others.
func wrapCodec(err error) error {
	if err == nil {
		return nil
	}
	var e *codec.Error
	if errors.As(err, &e) {
		return &Error{Code: Code(e.Code), Message: e.Message}
	}
	return newError(ErrInternal, "%v", err)
}

// contextError is the error of a call that was not made, or stopped, because its context is done; nil if the
// context is not.
func contextError(ctx context.Context) error {
	err := ctx.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: ErrDeadlineExceeded, Message: "the context's deadline is over", cause: err}
	}
	return &Error{Code: ErrCancelled, Message: "the context was cancelled", cause: err}
}
