package main

import (
	"context"
	"errors"
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
}

func newMirror(folder, url, temporary string) *mirror {
	return &mirror{
		folder: folder, url: url, temporary: temporary, cache: newApp(folder, ""),
		flights: map[string]*flight{}, asked: map[string]time.Time{},
	}
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := content.FindStringSubmatch(r.URL.Path)
	if parts == nil || parts[1] == "blobs" && r.Method == http.MethodHead {
		if filler := m.upstream(); filler != nil { // lists of tags, sizes of blobs: not kept
			filler.ServeHTTP(w, r)
			return
		}
	} else if tag := !strings.Contains(parts[2], ":"); tag || !m.has(r.URL.Path) {
		flight := m.fetch(r.URL.Path, tag)
		if parts[1] == "blobs" && r.Header.Get("Range") == "" {
			flight.serve(w)
			return
		}
		flight.wait()
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
	defer m.recovered()
	filler := m.upstream()
	if filler == nil {
		refuse(flight, http.StatusServiceUnavailable, "UNAVAILABLE", m.url+" does not answer")
		return
	}
	end, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	filler.ServeHTTP(flight, request(end, http.MethodGet, path))
}

// upstream is what fills the folder; nil while the upstream does not answer.
func (m *mirror) upstream() *handlers.App {
	m.making.Lock()
	defer m.making.Unlock()
	if m.filler == nil && time.Since(m.failed) > silent {
		m.failed = time.Now()
		func() {
			defer m.recovered()
			m.filler = newApp(m.folder, m.url)
		}()
	}
	return m.filler
}

// recovered ends a panic, which is how distribution fails.
func (m *mirror) recovered() {
	if reason := recover(); reason != nil {
		logrus.Warnf("upstream %s: %v", m.url, reason)
	}
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
	if f.status == 0 {
		f.status, f.sent = status, f.header.Clone()
		f.changed.Broadcast()
	}
}

func (f *flight) Write(some []byte) (int, error) {
	f.WriteHeader(http.StatusOK)
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
	status, header := f.status, f.sent
	f.mutex.Unlock()
	if status == 0 {
		refuse(w, http.StatusBadGateway, "UNAVAILABLE", "nothing has come from the upstream")
		return
	}
	maps.Copy(w.Header(), header)
	w.WriteHeader(status)
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
