// Genesis writes the data folder of an etcd member that has never run: a cluster's objects and its
// members are there before etcd starts. It uses etcd's own packages and needs no running etcd.
//
//	genesis --from FILE --data-dir DIR --name MEMBER --run RUN [--time RFC3339]
//
// FILE is JSON:
//
//	{"version": 1,
//	 "cluster": {"token": "TOKEN", "members": [{"name": "demo1", "peer": "https://10.64.1.11:2380"}]},
//	 "objects": [{"key": "/registry/namespaces/default", "value": {…}}]}
//
// Values are Kubernetes objects. Their strings may have holes (holes.go). Each object gets a revision
// of its own, in the order of the file. Every member of a cluster gets the same FILE, RUN and time, and
// then has the same contents. A folder that already has data is left as it is.
//
// Instead of objects the file may name a snapshot of etcd, whose contents the cluster takes over:
//
//	"snapshot": {"file": "/etc/plexctl/etcd.snapshot", "continues": false,
//	             "drop": ["/registry/minions/"], "keep": ["/registry/minions/demo1"]}
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
)

// settings are the program's options.
type settings struct {
	from, folder, name, run string
	time                    time.Time
}

func main() {
	// The program ends before its memory would be worth a collection.
	debug.SetGCPercent(-1)
	set, err := readOptions(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "genesis:", err)
		os.Exit(2)
	}
	line, err := run(set)
	if err != nil {
		fmt.Fprintln(os.Stderr, "genesis:", err)
		os.Exit(1)
	}
	fmt.Println("genesis:", line)
}

func readOptions(words []string) (settings, error) {
	var set settings
	var at string
	options := flag.NewFlagSet("genesis", flag.ContinueOnError)
	options.SetOutput(os.Stderr)
	options.StringVar(&set.from, "from", "", "the `FILE` with cluster and objects")
	options.StringVar(&set.folder, "data-dir", "", "etcd's data folder, `DIR`")
	options.StringVar(&set.name, "name", "", "the name of this `MEMBER`")
	options.StringVar(&set.run, "run", "", "the identifier of this cluster's `RUN`; UIDs are made from it")
	options.StringVar(&at, "time", "", "the `TIME` of creation (RFC 3339); now if it is left out")
	if err := options.Parse(words); err != nil {
		return set, err
	}
	if options.NArg() > 0 {
		return set, fmt.Errorf("unexpected argument %q", options.Arg(0))
	}
	for _, name := range []string{"from", "data-dir", "name", "run"} {
		if options.Lookup(name).Value.String() == "" {
			return set, fmt.Errorf("--%s is missing", name)
		}
	}
	if at != "" {
		parsed, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return set, fmt.Errorf("--time %q is not RFC 3339, as in 2026-11-29T20:00:00Z", at)
		}
		set.time = parsed
	}
	return set, nil
}

// run writes the folder and returns what it did, in one line.
func run(set settings) (string, error) {
	data := filepath.Clean(set.folder)
	member := filepath.Join(data, "member")
	if _, err := os.Lstat(member); err == nil {
		return member + " exists: nothing written", nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	planned, err := readInput(set.from)
	if err != nil {
		return "", err
	}
	if set.time.IsZero() {
		if len(planned.cluster.Members) > 1 {
			return "", errors.New("--time is missing: all members must have the same")
		}
		set.time = time.Now()
	}
	first, err := firstRevision(set.time)
	if err != nil {
		return "", err
	}
	write, did := planned.objectsFrom(set, first)
	if planned.snapshot != nil {
		write, did = planned.restore(first)
	}
	// A run that was interrupted leaves this folder.
	draft := data + ".new"
	if err := os.RemoveAll(draft); err != nil {
		return "", err
	}
	if err := writeMember(draft, set.name, planned.cluster, write); err != nil {
		return "", err
	}
	// The system call replaces an empty folder; os.Rename replaces none.
	if err := syscall.Rename(draft, data); err != nil {
		return "", fmt.Errorf("rename %s to %s: %w", draft, data, err)
	}
	return data + ": " + did(), nil
}

// objectsFrom fills the holes of objects and writes them; the second function says what was written.
func (planned plan) objectsFrom(set settings, first int64) (contents, func() string) {
	objects := planned.objects
	write := func(file string, known *membership.RaftCluster, born birth) ([]byte, error) {
		holes, err := newHoles(set.run, set.time)
		if err != nil {
			return nil, err
		}
		for i := range objects {
			objects[i].value, err = holes.fill(objects[i].value)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", set.from, objects[i].key, err)
			}
		}
		return writeBackend(file, known, born, objects, first)
	}
	return write, func() string {
		last := first + int64(len(objects)) - 1
		return fmt.Sprintf("%d objects, revisions %d to %d", len(objects), first, last)
	}
}

// restore writes the contents of the snapshot; the second function says what was written.
func (planned plan) restore(first int64) (contents, func() string) {
	var done restored
	write := func(file string, known *membership.RaftCluster, born birth) (members []byte, err error) {
		members, done, err = restoreBackend(file, known, born, planned.snapshot, first)
		return members, err
	}
	return write, func() string {
		return fmt.Sprintf("restored %s, %d keys deleted, revision %d",
			planned.snapshot.File, done.dropped, done.last)
	}
}
