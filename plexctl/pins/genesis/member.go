package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/coreos/go-semver/semver"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v2store"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

const (
	// term is the one in which the members were added; etcd's first election begins the next.
	term = 1
	// revisionsPerSecond is more than any cluster writes.
	revisionsPerSecond = 1000
	revisionsAhead     = 1_000_000_000
	mapped             = 64 << 20 // bytes of address space for the database
)

var running = semver.Must(semver.NewVersion(version.Version))

// epoch is second 0 of revisions: 2026-01-01T00:00:00Z.
const epoch = 1767225600

// firstRevision is above all that an earlier cluster of the same name has written, if it was created
// by this program, too: a client that still watches that one learns that its revision is compacted,
// and lists again.
func firstRevision(at time.Time) (int64, error) {
	if at.Unix() <= epoch {
		return 0, fmt.Errorf("the time %s is before 2026; is the clock right?", at.Format(time.RFC3339))
	}
	return (at.Unix() - epoch) * revisionsPerSecond, nil
}

// contents write the database of a member; they return the members in the form that a snapshot has.
type contents func(file string, known *membership.RaftCluster, born birth) ([]byte, error)

// writeMember creates the data folder of one member.
func writeMember(folder, name string, of cluster, write contents) error {
	known, err := newCluster(of)
	if err != nil {
		return err
	}
	me := known.MemberByName(name)
	if me == nil {
		return fmt.Errorf("the cluster has no member %q", name)
	}
	for _, one := range []string{"snap", "wal"} {
		if err := os.MkdirAll(filepath.Join(folder, "member", one), 0o700); err != nil {
			return err
		}
	}
	born, err := newBirth(known)
	if err != nil {
		return err
	}
	snap := filepath.Join(folder, "member", "snap")
	members, err := write(filepath.Join(snap, "db"), known, born)
	if err != nil {
		return err
	}
	if err := writeSnapshot(snap, born, members); err != nil {
		return err
	}
	return writeLog(filepath.Join(folder, "member", "wal"), uint64(me.ID), uint64(known.ID()), born)
}

// newCluster has the identifiers that etcd itself computes from names, addresses and token.
func newCluster(of cluster) (*membership.RaftCluster, error) {
	peers := make(types.URLsMap, len(of.Members))
	seen := make(map[string]bool, len(of.Members))
	for _, one := range of.Members {
		urls, err := types.NewURLs([]string{one.Peer})
		if err != nil {
			return nil, fmt.Errorf("member %q: %w", one.Name, err)
		}
		if _, twice := peers[one.Name]; one.Name == "" || twice || seen[urls.String()] {
			return nil, fmt.Errorf("member %q: its name or peer is empty or there twice", one.Name)
		}
		seen[urls.String()] = true
		peers[one.Name] = urls
	}
	return membership.NewClusterFromURLsMap(zap.NewNop(), of.Token, peers)
}

// birth is the beginning of the raft log: one entry for each member.
type birth struct {
	entries []raftpb.Entry
	state   raftpb.HardState
	voters  raftpb.ConfState
}

func newBirth(known *membership.RaftCluster) (birth, error) {
	var born birth
	for i, one := range known.Members() {
		context, err := json.Marshal(one)
		if err != nil {
			return born, err
		}
		id := uint64(one.ID)
		change := raftpb.ConfChange{Type: raftpb.ConfChangeAddNode, NodeID: id, Context: context}
		data, err := change.Marshal()
		if err != nil {
			return born, err
		}
		entry := raftpb.Entry{Type: raftpb.EntryConfChange, Term: term, Index: uint64(i + 1), Data: data}
		born.entries = append(born.entries, entry)
		born.voters.Voters = append(born.voters.Voters, id)
	}
	commit := uint64(len(born.entries))
	born.state = raftpb.HardState{Term: term, Vote: born.voters.Voters[0], Commit: commit}
	return born, nil
}

// writeBackend creates the database: objects, members and what etcd notes about itself.
func writeBackend(
	file string, known *membership.RaftCluster, born birth, objects []object, first int64,
) ([]byte, error) {
	return inBackend(file, func(database backend.Backend) ([]byte, error) {
		members, err := addMembers(database, known)
		if err != nil {
			return nil, err
		}
		return members, writeKeys(database.BatchTx(), born, minorVersion(), objects, first)
	})
}

// inBackend opens or creates a database, and closes it after `work`.
func inBackend(file string, work func(backend.Backend) ([]byte, error)) (members []byte, err error) {
	// etcd's backend panics where it cannot write, or what it reads is no database.
	defer func() {
		if failed := recover(); failed != nil {
			err = fmt.Errorf("cannot write %s: %v", file, failed)
		}
	}()
	config := backend.DefaultBackendConfig(zap.NewNop())
	config.Path = file
	config.MmapSize = mapped
	config.UnsafeNoFsync = true // the node is new: what is not on disk yet is made again
	config.BatchInterval, config.BatchLimit = time.Hour, math.MaxInt
	database := backend.New(config)
	defer func() { err = errors.Join(err, database.Close()) }()
	return work(database)
}

// addMembers puts the members into the database, and returns them in the form that a snapshot has.
func addMembers(database backend.Backend, known *membership.RaftCluster) ([]byte, error) {
	minor := minorVersion()
	store := v2store.New("/0", "/1") // as etcdserver creates it
	known.SetStore(store)
	known.SetBackend(schema.NewMembershipBackend(zap.NewNop(), database))
	for _, one := range known.Members() {
		known.AddMember(one, membership.ApplyBoth)
	}
	known.SetVersion(&minor, func(*zap.Logger, *semver.Version) {}, membership.ApplyBoth)
	return store.SaveNoCopy()
}

func writeKeys(
	tx backend.BatchTx, born birth, minor semver.Version, objects []object, first int64,
) error {
	tx.LockOutsideApply()
	defer tx.Unlock()
	for _, bucket := range schema.AllBuckets {
		tx.UnsafeCreateBucket(bucket)
	}
	revision := first
	for _, one := range objects {
		pair := mvccpb.KeyValue{
			Key: []byte(one.key), Value: one.value, Version: 1,
			CreateRevision: revision, ModRevision: revision,
		}
		data, err := pair.Marshal()
		if err != nil {
			return fmt.Errorf("%s: %w", one.key, err)
		}
		name := mvcc.RevToBytes(mvcc.Revision{Main: revision}, mvcc.NewRevBytes())
		tx.UnsafeSeqPut(schema.Key, name, data)
		revision++
	}
	mvcc.UnsafeSetScheduledCompact(tx, revision-1)
	mvcc.UnsafeSetFinishedCompact(tx, revision-1)
	schema.UnsafeUpdateConsistentIndexForce(tx, born.state.Commit, term)
	schema.MustUnsafeSaveConfStateToBackend(zap.NewNop(), tx, &born.voters)
	schema.UnsafeSetStorageVersion(tx, &minor)
	return nil
}
