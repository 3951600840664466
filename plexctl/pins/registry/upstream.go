package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// stalled is how long an upstream may pause in the middle of an answer.
const stalled = 30 * time.Second

// failure is the answer to a client where the upstream has given no content.
type failure struct {
	status              int // 0: there is none
	code, message, wait string
}

func (f failure) serve(w http.ResponseWriter) {
	if f.status == 0 {
		f = failure{http.StatusBadGateway, "UNAVAILABLE", "nothing has come from the upstream", ""}
	}
	if f.wait != "" {
		w.Header().Set("Retry-After", f.wait)
	}
	refuse(w, f.status, f.code, f.message)
}

// observation is what the upstream has answered to the requests of one context.
type observation struct {
	end    context.Context // of the requests
	cancel context.CancelFunc
	mutex  sync.Mutex
	status int // of the last answer
	header http.Header
	err    error // of the last request, if nothing was answered or the answer ended early
	paused bool
}

type observationKey struct{}

// observed is a context whose requests are observed.
func observed(end context.Context) (context.Context, *observation) {
	end, cancel := context.WithCancel(end)
	seen := &observation{end: end, cancel: cancel}
	return context.WithValue(end, observationKey{}, seen), seen
}

// failure words for a client what was observed. `refused` is the status that distribution gave.
func (o *observation) failure(url string, manifest bool, refused int) failure {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	wait := o.header.Get("Retry-After")
	answer := fmt.Sprintf("%s answers %d %s", url, o.status, http.StatusText(o.status))
	switch {
	case o.timeout():
		return failure{http.StatusGatewayTimeout, "UNAVAILABLE", url + " does not answer in time", ""}
	case o.err != nil:
		return failure{http.StatusBadGateway, "UNAVAILABLE", fmt.Sprintf("%s: %v", url, o.err), ""}
	case o.status == 0: // nothing was asked for: the name or the digest is not valid
		return failure{refused, "UNSUPPORTED", "the request is not valid", ""}
	case o.status == http.StatusNotFound && manifest:
		return failure{http.StatusNotFound, "MANIFEST_UNKNOWN", answer, ""}
	case o.status == http.StatusNotFound:
		return failure{http.StatusNotFound, "BLOB_UNKNOWN", answer, ""}
	case o.status == http.StatusUnauthorized:
		return failure{o.status, "UNAUTHORIZED", answer, ""}
	case o.status == http.StatusForbidden:
		return failure{o.status, "DENIED", answer, ""}
	case o.status == http.StatusTooManyRequests:
		return failure{o.status, "TOOMANYREQUESTS", answer, wait}
	case o.status == http.StatusServiceUnavailable, o.status == http.StatusGatewayTimeout:
		return failure{o.status, "UNAVAILABLE", answer, wait}
	case o.status >= http.StatusInternalServerError:
		return failure{http.StatusBadGateway, "UNAVAILABLE", answer, wait}
	case o.status >= http.StatusBadRequest:
		return failure{o.status, "UNKNOWN", answer, ""}
	}
	kind := o.header.Get("Content-Type")
	message := fmt.Sprintf("%s, with content that cannot be used (%s)", answer, strconv.Quote(kind))
	return failure{http.StatusBadGateway, "UNAVAILABLE", message, ""}
}

func (o *observation) timeout() bool {
	var network net.Error
	// The time may be over before the first request is sent: distribution waits for its turn.
	return o.paused || errors.Is(o.end.Err(), context.DeadlineExceeded) ||
		errors.Is(o.err, context.DeadlineExceeded) ||
		errors.As(o.err, &network) && network.Timeout()
}

// observer is a transport that notes what the upstream answers, since distribution forgets it, and
// asks with GET where HEAD is refused.
type observer struct{ base http.RoundTripper }

func (o observer) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := o.base.RoundTrip(r)
	if err == nil && r.Method == http.MethodHead && refusesHead(r, answer) {
		_ = answer.Body.Close()
		again := r.Clone(r.Context())
		again.Method = http.MethodGet
		if answer, err = o.base.RoundTrip(again); err == nil {
			_ = answer.Body.Close()
			answer.Body = http.NoBody
			answer.Request = r
		}
	}
	seen, _ := r.Context().Value(observationKey{}).(*observation)
	if seen == nil {
		return answer, err
	}
	seen.mutex.Lock()
	defer seen.mutex.Unlock()
	seen.status, seen.header, seen.err = 0, nil, err
	if err == nil {
		seen.status, seen.header = answer.StatusCode, answer.Header
		answer.Body = &observedBody{answer.Body, seen, time.AfterFunc(stalled, seen.pause)}
	}
	return answer, err
}

// refusesHead tells whether an answer means that HEAD is not known. A storage that a registry sends
// its clients to may give signed addresses, which are for GET only.
func refusesHead(r *http.Request, answer *http.Response) bool {
	switch answer.StatusCode {
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	case http.StatusForbidden:
		return r.Response != nil // it follows a redirect
	}
	return false
}

func (o *observation) pause() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.paused = true
	o.cancel()
}

// observedBody ends a request whose answer pauses for too long.
type observedBody struct {
	io.ReadCloser
	seen  *observation
	timer *time.Timer
}

func (b *observedBody) Read(some []byte) (int, error) {
	b.timer.Reset(stalled)
	size, err := b.ReadCloser.Read(some)
	if err != nil && !errors.Is(err, io.EOF) {
		b.seen.mutex.Lock()
		b.seen.err = err
		b.seen.mutex.Unlock()
	}
	b.timer.Stop()
	return size, err
}

func (b *observedBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}
