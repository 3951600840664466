package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coreos/go-semver/semver"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"
)

// This does what `etcdutl snapshot restore` does: it waits for the disk less often, deletes what was
// true of the earlier cluster only, and counts revisions as new clusters do.

// snapshot is what etcd of another cluster had, in a file as etcd sends it.
type snapshot struct {
	File string
	// Continues says that this is the same cluster: its clients watch on, so revisions do. If not,
	// all revisions so far are compacted, and the next ones are those of a new cluster.
	Continues bool
	// Drop has prefixes of keys that are deleted, unless Keep has the whole key.
	Drop, Keep []string
}

func (from *snapshot) check() error {
	if !filepath.IsAbs(from.File) {
		return errors.New("snapshot.file is not an absolute path")
	}
	for _, one := range slices.Concat(from.Drop, from.Keep) {
		if !strings.HasPrefix(one, "/") {
			return fmt.Errorf("key %q does not begin with '/'", one)
		}
	}
	return nil
}

// restored says what a restore has written.
type restored struct {
	dropped int
	last    int64 // revision
}

// restoreBackend creates the database from a snapshot, with new members. `first` is the first revision
// of a cluster that is created now. It returns the members in the form that a snapshot has.
func restoreBackend(
	file string, known *membership.RaftCluster, born birth, from *snapshot, first int64,
) (members []byte, done restored, err error) {
	if err := copySnapshot(file, from.File); err != nil {
		return nil, done, err
	}
	members, err = inBackend(file, func(database backend.Backend) ([]byte, error) {
		if err := refuseOtherVersion(database.ReadTx()); err != nil {
			return nil, err
		}
		membersOf := schema.NewMembershipBackend(zap.NewNop(), database)
		if err := membersOf.TrimMembershipFromBackend(); err != nil {
			return nil, err
		}
		if err := membersOf.TrimClusterFromBackend(); err != nil {
			return nil, err
		}
		membersOf.MustCreateBackendBuckets()
		packed, err := addMembers(database, known)
		if err != nil {
			return nil, err
		}
		done, err = restoreKeys(database.BatchTx(), born, from, first)
		return packed, err
	})
	return members, done, err
}

// copySnapshot writes the database in a snapshot to `file`, and compares the checksum that etcd puts
// behind it.
func copySnapshot(file, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	about, err := source.Stat()
	if err != nil {
		return err
	}
	// A database is a multiple of 512 bytes.
	size := about.Size() - sha256.Size
	if size <= 0 || size%512 != 0 {
		return fmt.Errorf("%s is no snapshot of etcd, or only a part of one: %d bytes", from, about.Size())
	}
	target, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.CopyN(io.MultiWriter(target, sum), source, size)
	if err := errors.Join(err, target.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	expected, err := io.ReadAll(source)
	if err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), expected) {
		return fmt.Errorf("%s is damaged: its checksum differs", from)
	}
	return nil
}

// refuseOtherVersion is an error if another minor version of etcd has written the database.
func refuseOtherVersion(tx backend.ReadTx) error {
	tx.RLock()
	defer tx.RUnlock()
	found, wanted := schema.UnsafeReadStorageVersion(tx), minorVersion()
	if found == nil || found.Major != wanted.Major || found.Minor != wanted.Minor {
		written := "3.5 or earlier"
		if found != nil {
			written = fmt.Sprintf("%d.%d", found.Major, found.Minor)
		}
		return fmt.Errorf("the snapshot is of etcd %s; this program writes folders for etcd %d.%d",
			written, wanted.Major, wanted.Minor)
	}
	return nil
}

// restoreKeys deletes what is to be dropped, and lets revisions go on.
func restoreKeys(tx backend.BatchTx, born birth, from *snapshot, first int64) (restored, error) {
	tx.LockOutsideApply()
	defer tx.Unlock()
	latest, drop, err := survey(tx, from)
	if err != nil {
		return restored{}, err
	}
	next := latest + 1
	if !from.Continues {
		next = first
		if latest >= first {
			// Somebody's clock was wrong. The earlier cluster has written less than this since.
			next = latest + revisionsAhead
		}
	}
	last := latest
	for i, key := range drop {
		data, err := (&mvccpb.KeyValue{Key: []byte(key)}).Marshal()
		if err != nil {
			return restored{}, err
		}
		last = next + int64(i)
		// A deleted key, as etcd marks one.
		name := append(mvcc.RevToBytes(mvcc.Revision{Main: last}, mvcc.NewRevBytes()), 't')
		tx.UnsafeSeqPut(schema.Key, name, data)
	}
	if !from.Continues {
		last = max(last, next)
		// etcd compacts when it starts: clients that watched the earlier cluster list again.
		mvcc.UnsafeSetScheduledCompact(tx, last)
	}
	schema.UnsafeUpdateConsistentIndexForce(tx, born.state.Commit, term)
	schema.MustUnsafeSaveConfStateToBackend(zap.NewNop(), tx, &born.voters)
	return restored{len(drop), last}, nil
}

// survey returns the latest revision, and the keys to drop that exist, sorted.
func survey(tx backend.UnsafeReader, from *snapshot) (latest int64, drop []string, err error) {
	exist := map[string]bool{}
	err = tx.UnsafeForEach(schema.Key, func(name, value []byte) error {
		latest = max(latest, mvcc.BytesToRev(name).Main)
		var pair mvccpb.KeyValue
		if err := pair.Unmarshal(value); err != nil {
			return err
		}
		key := string(pair.Key)
		begins := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
		if slices.ContainsFunc(from.Drop, begins) && !slices.Contains(from.Keep, key) {
			exist[key] = !mvcc.IsTombstone(name)
		}
		return nil
	})
	for key, there := range exist {
		if there {
			drop = append(drop, key)
		}
	}
	slices.Sort(drop)
	if err == nil && latest == 0 {
		err = errors.New("the snapshot has no keys")
	}
	return latest, drop, err
}

// minorVersion is that of the etcd whose packages this program has.
func minorVersion() semver.Version {
	return semver.Version{Major: running.Major, Minor: running.Minor}
}
