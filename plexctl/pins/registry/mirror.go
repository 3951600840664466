package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/sirupsen/logrus"
)

const (
	// remembered is how long a tag is served before the upstream is asked where it points now.
	remembered = time.Minute
	// silent is how long an upstream that did not answer is left alone.
	silent = 5 * time.Second
	// longest is how long one blob may take to come.
	longest = 2 * time.Hour
	// patience is how long a manifest may take to come: less than a node waits for it.
	patience = 25 * time.Second
)

var (
	content = regexp.MustCompile(`^/v2/.+/(manifests|blobs)/([^/]+)$`)
	accept  = strings.Join([]string{
		"application/vnd.oci.image.index.v1+json",
		"application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.docker.distribution.manifest.v2+json",
	}, ", ")
)

// mirror serves what an upstream has. What is asked for is fetched into a folder once, by a flight
// that goes on if who asked for it is gone, and served from there ever after.
type mirror struct {
	folder, url, temporary string
	cache                  *handlers.App // serves the folder and asks nobody

	mutex   sync.Mutex
	flights map[string]*flight   // by path
	asked   map[string]time.Time // when the upstream was asked for a tag, by path

	making sync.Mutex
	filler *handlers.App // asks the upstream; made when it answers for the first time
	failed time.Time
	reason failure // why it could not be made
}

func newMirror(folder, url, temporary string) *mirror {
	return &mirror{
		folder: folder, url: url, temporary: temporary, cache: newApp(folder, ""),
		flights: map[string]*flight{}, asked: map[string]time.Time{},
	}
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := content.FindStringSubmatch(r.URL.Path)
	switch {
	case parts == nil: // lists of tags: not kept
		if filler, _ := m.upstream(); filler != nil {
			filler.ServeHTTP(w, r)
			return
		}
	case parts[1] == "blobs" && r.Method == http.MethodHead: // sizes of blobs: not kept
		if !m.has(r.URL.Path) {
			answer := newFlight(nil)
			m.ask(answer, r.Context(), r.Method, r.URL.Path)
			answer.end()
			answer.serve(w)
			return
		}
	default:
		if tag := !strings.Contains(parts[2], ":"); tag || !m.has(r.URL.Path) {
			flight := m.fetch(r.URL.Path, tag)
			if parts[1] == "blobs" && r.Header.Get("Range") == "" {
				flight.serve(w)
				return
			}
			flight.wait()
			if flight.failure.status != 0 && !m.has(r.URL.Path) {
				flight.failure.serve(w)
				return
			}
		}
	}
	m.cache.ServeHTTP(w, r)
}

// has tells whether a manifest or blob is in the folder.
func (m *mirror) has(path string) bool {
	answer := newFlight(nil)
	m.cache.ServeHTTP(answer, request(context.Background(), http.MethodHead, path))
	return answer.status == http.StatusOK
}

// fetch has the upstream asked for `path`, by one flight at a time; by none if it is a tag that
// was asked for just now.
func (m *mirror) fetch(path string, tag bool) *flight {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if flight := m.flights[path]; flight != nil {
		return flight
	}
	if tag && time.Since(m.asked[path]) < remembered {
		return &flight{ended: true}
	}
	file, err := os.CreateTemp(m.temporary, "")
	if err == nil {
		err = os.Remove(file.Name()) // its bytes are there for as long as someone has it open
	}
	flight := newFlight(file)
	m.flights[path] = flight
	go func() {
		if err != nil {
			logrus.Error(err)
			flight.fail(failure{http.StatusInternalServerError, "UNKNOWN", err.Error(), ""})
		} else {
			m.fly(flight, path)
		}
		known := tag && m.has(path)
		m.mutex.Lock()
		delete(m.flights, path)
		if known {
			m.asked[path] = time.Now()
		}
		m.mutex.Unlock()
		flight.end()
	}()
	return flight
}

// fly asks the upstream. What it answers is in the folder when this returns.
func (m *mirror) fly(flight *flight, path string) {
	limit := longest
	if strings.Contains(path, "/manifests/") {
		limit = patience
	}
	end, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	m.ask(flight, end, http.MethodGet, path)
}

// ask passes one request on to the upstream. An answer that is no success becomes the failure of
// the flight, as the upstream gave it: distribution has only "unknown" and "error" for them.
func (m *mirror) ask(flight *flight, end context.Context, method, path string) {
	defer func() {
		if cause := recover(); cause != nil { // in the middle of a request: a bug of distribution
			logrus.Errorf("upstream %s: %v", m.url, cause)
			flight.fail(failure{http.StatusBadGateway, "UNAVAILABLE", fmt.Sprint(cause), ""})
		}
	}()
	filler, reason := m.upstream()
	if filler == nil {
		flight.fail(reason)
		return
	}
	end, seen := observed(end)
	defer seen.cancel()
	filler.ServeHTTP(flight, request(end, method, path))
	if flight.refused == 0 {
		flight.WriteHeader(http.StatusOK) // where the content is empty, nobody else does
		if flight.file != nil && seen.err != nil {
			logrus.Warnf("%s %s: %s ended too early: %v", method, path, m.url, seen.err)
		}
		return
	}
	failure := seen.failure(m.url, strings.Contains(path, "/manifests/"), flight.refused)
	if failure.status != http.StatusNotFound {
		logrus.Warnf("%s %s: %s", method, path, failure.message)
	}
	flight.fail(failure)
}

// upstream is what fills the folder. While the upstream does not answer, it is nil, with the reason.
func (m *mirror) upstream() (*handlers.App, failure) {
	m.making.Lock()
	defer m.making.Unlock()
	if m.filler == nil && time.Since(m.failed) > silent {
		m.filler, m.reason = newFiller(m.folder, m.url)
		m.failed = time.Now()
		if m.filler == nil {
			logrus.Warn(m.reason.message)
		}
	}
	return m.filler, m.reason
}

// newFiller makes what fills a folder, or tells why it cannot: it asks the upstream for its way to
// log in.
func newFiller(folder, url string) (filler *handlers.App, reason failure) {
	defer func() {
		if cause := recover(); cause != nil { // which is how distribution fails
			reason = failure{
				http.StatusServiceUnavailable, "UNAVAILABLE",
				fmt.Sprintf("%s does not answer: %v", url, cause), "",
			}
		}
	}()
	return newApp(folder, url), failure{}
}

func request(end context.Context, method, path string) *http.Request {
	made, err := http.NewRequestWithContext(end, method, path, nil)
	if err != nil {
		panic(err) // the path has been parsed before
	}
	made.Header.Set("Accept", accept)
	return made
}

// flight is one answer of an upstream; any number of clients follow it while it comes.
type flight struct {
	file    *os.File // what has come of the body; closed once nobody knows of it
	header  http.Header
	mutex   sync.Mutex
	changed *sync.Cond
	status  int         // 0: nothing has come yet
	sent    http.Header // with the status
	size    int64
	ended   bool
	refused int     // the status of distribution, if that is an error
	failure failure // why nothing comes; set before the end
}

func newFlight(file *os.File) *flight {
	made := &flight{file: file, header: http.Header{}}
	made.changed = sync.NewCond(&made.mutex)
	return made
}

func (f *flight) Header() http.Header { return f.header }

func (f *flight) WriteHeader(status int) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.status != 0 {
		return
	}
	if status >= http.StatusBadRequest {
		f.refused = status
	} else if f.refused == 0 {
		f.status, f.sent = status, f.header.Clone()
		f.changed.Broadcast()
	}
}

func (f *flight) Write(some []byte) (int, error) {
	f.WriteHeader(http.StatusOK)
	if f.refused != 0 {
		return len(some), nil // the words of distribution: nobody reads them
	}
	if f.file == nil {
		return 0, errors.New("only the status is wanted")
	}
	written, err := f.file.Write(some)
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.size += int64(written)
	f.changed.Broadcast()
	return written, err
}

func (f *flight) fail(reason failure) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.failure = reason
}

func (f *flight) end() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.ended = true
	f.changed.Broadcast()
}

func (f *flight) wait() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for !f.ended {
		f.changed.Wait()
	}
}

// serve passes the answer on. Where less comes than was promised, the server ends the connection.
func (f *flight) serve(w http.ResponseWriter) {
	f.mutex.Lock()
	for f.status == 0 && !f.ended {
		f.changed.Wait()
	}
	status, header, failure := f.status, f.sent, f.failure
	f.mutex.Unlock()
	if status == 0 {
		failure.serve(w)
		return
	}
	maps.Copy(w.Header(), header)
	w.WriteHeader(status)
	if f.file == nil {
		return
	}
	_ = http.NewResponseController(w).Flush() // a client waits for this longer than for the rest
	for done := int64(0); ; {
		f.mutex.Lock()
		for f.size == done && !f.ended {
			f.changed.Wait()
		}
		size := f.size
		f.mutex.Unlock()
		copied, err := io.Copy(w, io.NewSectionReader(f.file, done, size-done))
		if done += copied; err != nil || copied == 0 {
			return
		}
	}
}
