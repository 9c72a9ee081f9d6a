package iam

import (
	"context"
	"net/http"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// HeaderRequestID is on every answer: the SDKs take a failed call's request id from nowhere else.
const HeaderRequestID = "X-Request-Id"

type requestIDKey struct{}

// WithRequestID gives every request an id of our own making, in its context and on its answer. What a client sends under that
// name is not taken over: it could forge another call's lines in the log. A request that has an id keeps it.
func WithRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if RequestID(r.Context()) == "" {
			id := phone.NewID[string]()
			w.Header().Set(HeaderRequestID, id)
			r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
		}
		next.ServeHTTP(w, r)
	})
}

// RequestID gives the id that WithRequestID made, "" outside of it.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
