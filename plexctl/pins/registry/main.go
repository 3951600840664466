// The lab's registry where Zot cannot be had: pushed artifacts and read-through caches, on one port.
//
// Zot is what plexctl prefers. It comes as an official release only: there is no Go module proxy
// that has all of it. This program is built from the modules of distribution and stands in for it:
// it reads Zot's configuration (what plexctl writes of it) and serves the same paths. What it adds
// to distribution is that one process has a cache for each upstream, that a hundred nodes which
// ask for the same thing at the same time cost the upstream one request, and that what is cached
// is served whether or not there is an upstream.
//
//	registry serve /etc/plexctl/registry.json
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"
)

// settings are those of Zot's that plexctl writes and this program needs.
type settings struct {
	Storage struct{ RootDirectory string }
	HTTP    struct {
		Address, Port string
		TLS           struct{ Cert, Key string }
		Auth          struct{ HTPasswd struct{ Path string } }
	}
	Log        struct{ Level string }
	Extensions struct {
		Sync struct{ Registries []upstream }
	}
}

// upstream is a registry whose images are served below a folder of ours.
type upstream struct {
	URLs    []string
	Content []struct{ Destination string } // "/docker.io"
}

// registry hands a request to the cache that its path names, or to what was pushed here.
type registry struct {
	pushed  http.Handler
	mirrors map[string]http.Handler
	users   map[string][]byte // bcrypt hashes
}

func main() {
	if len(os.Args) != 3 || os.Args[1] != "serve" {
		log.Fatal("usage: registry serve FILE")
	}
	if err := serve(os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func serve(file string) error {
	var set settings
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, &set); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if level, err := logrus.ParseLevel(set.Log.Level); err == nil {
		logrus.SetLevel(level)
	}
	logrus.SetFormatter(quiet{&logrus.TextFormatter{DisableTimestamp: true}})
	// A node asks the upstream itself when it waits for more than 30 seconds.
	transport := http.DefaultTransport.(*http.Transport)
	transport.DialContext = (&net.Dialer{Timeout: 3 * time.Second}).DialContext
	transport.ResponseHeaderTimeout = 20 * time.Second
	http.DefaultTransport = observer{transport} // all requests of distribution go through it

	handler, err := newRegistry(set)
	if err != nil {
		return err
	}
	server := &http.Server{
		Addr:              net.JoinHostPort(set.HTTP.Address, set.HTTP.Port),
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServeTLS(set.HTTP.TLS.Cert, set.HTTP.TLS.Key) }()
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(end); !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return server.Close()
	}
}

func newRegistry(set settings) (*registry, error) {
	users, err := readUsers(set.HTTP.Auth.HTPasswd.Path)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(set.Storage.RootDirectory, "distribution")
	temporary := filepath.Join(root, "_fetching")
	if err := os.MkdirAll(temporary, 0o700); err != nil {
		return nil, err
	}
	// No domain begins with "_".
	made := &registry{newApp(filepath.Join(root, "_pushed"), ""), map[string]http.Handler{}, users}
	for _, one := range set.Extensions.Sync.Registries {
		for _, content := range one.Content {
			name := strings.Trim(content.Destination, "/")
			made.mirrors[name] = newMirror(filepath.Join(root, name), one.URLs[0], temporary)
		}
	}
	return made, nil
}

// newApp is distribution on a folder: a registry of its own or, with `url`, a cache of another one.
// It panics if that one does not answer.
func newApp(folder, url string) *handlers.App {
	var set configuration.Configuration
	set.Storage = configuration.Storage{"filesystem": {"rootdirectory": folder}}
	if url == "" { // it also removes what was left half fetched
		set.Storage["delete"] = configuration.Parameters{"enabled": true}
	} else {
		off := map[any]any{"enabled": false}
		set.Storage["maintenance"] = configuration.Parameters{"uploadpurging": off}
	}
	set.Catalog.MaxEntries, set.Tags.MaxTags = 10000, 10000 // in one answer
	set.HTTP.RelativeURLs = true
	set.HTTP.Secret = rand.Text() // signs the state of an upload, which ends with this process
	never, hours := time.Duration(0), 2*time.Hour
	set.Proxy = configuration.Proxy{RemoteURL: url, TTL: &never, CacheWriteTimeout: &hours}
	return handlers.NewApp(context.Background(), &set)
}

func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
	mirror := g.mirrors[name]
	switch {
	case mirror != nil && !reading:
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "a cache takes no pushes")
	case mirror != nil:
		stripped := r.Clone(r.Context())
		stripped.URL.Path = "/v2/" + rest
		stripped.URL.RawPath = ""
		mirror.ServeHTTP(w, stripped)
	case !reading && !g.may(r):
		w.Header().Set("WWW-Authenticate", `Basic realm="plexctl"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "who pushes must say who he is")
	default:
		g.pushed.ServeHTTP(w, r)
	}
}

// may tells whether who asks may change what is here.
func (g *registry) may(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	hash, known := g.users[user]
	return known && bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil
}

func readUsers(file string) (map[string][]byte, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	users := map[string][]byte{}
	for line := range strings.Lines(string(content)) {
		if user, hash, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			users[user] = []byte(hash)
		}
	}
	return users, nil
}

// quiet leaves out what distribution takes for an error and a cache for its everyday work: that
// something is not there yet.
type quiet struct{ logrus.Formatter }

func (q quiet) Format(entry *logrus.Entry) ([]byte, error) {
	if code := fmt.Sprint(entry.Data["err.code"]); strings.HasSuffix(code, " unknown") {
		return nil, nil
	}
	return q.Formatter.Format(entry)
}

// refuse answers with an error as the distribution specification words it.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`+"\n", code, message)
}
