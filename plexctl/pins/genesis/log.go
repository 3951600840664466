package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap/snappb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
)

// etcd's wal.Create and snap.SaveSnap wait for the disk several times and reserve 64 MB. A node that
// is new needs neither, so this file writes their formats itself. Its tests read them with etcd's code.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// writeSnapshot writes the snapshot that the log refers to. Its data are the members; the objects of a
// snapshot are in the database beside it.
func writeSnapshot(folder string, born birth, members []byte) error {
	index := born.state.Commit
	snapshot := raftpb.Snapshot{
		Data:     members,
		Metadata: raftpb.SnapshotMetadata{ConfState: born.voters, Index: index, Term: term},
	}
	content, err := snapshot.Marshal()
	if err != nil {
		return err
	}
	file := snappb.Snapshot{Crc: crc32.Checksum(content, castagnoli), Data: content}
	packed, err := file.Marshal()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%016x-%016x.snap", term, index)
	return os.WriteFile(filepath.Join(folder, name), packed, 0o600)
}

// marshaler is a message of etcd or raft.
type marshaler interface{ Marshal() ([]byte, error) }

// record is one of a log, not yet packed.
type record struct {
	kind    int64
	message marshaler // nil: a record without data
}

// writeLog writes the first file of a write-ahead log: as long as its records, not preallocated.
func writeLog(folder string, member, cluster uint64, born birth) error {
	index := born.state.Commit
	records := []record{
		{wal.CrcType, nil},
		{wal.MetadataType, &etcdserverpb.Metadata{NodeID: member, ClusterID: cluster}},
		{wal.SnapshotType, &walpb.Snapshot{}},
	}
	for i := range born.entries {
		records = append(records, record{wal.EntryType, &born.entries[i]})
	}
	snapshot := walpb.Snapshot{Index: index, Term: term, ConfState: &born.voters}
	records = append(records, record{wal.StateType, &born.state}, record{wal.SnapshotType, &snapshot})

	var content []byte
	crc := uint32(0) // over the data of all records so far
	for _, one := range records {
		packed := walpb.Record{Type: one.kind}
		if one.message != nil {
			data, err := one.message.Marshal()
			if err != nil {
				return err
			}
			crc = crc32.Update(crc, castagnoli, data)
			packed.Data = data
		}
		packed.Crc = crc
		frame, err := packed.Marshal()
		if err != nil {
			return err
		}
		content = appendFrame(content, frame)
	}
	name := fmt.Sprintf("%016x-%016x.wal", 0, 0)
	return os.WriteFile(filepath.Join(folder, name), content, 0o600)
}

// appendFrame appends a record: its length, its bytes, and zeros up to a multiple of 8. The highest
// byte of the length has the number of zeros, if there are any.
func appendFrame(content, frame []byte) []byte {
	length := uint64(len(frame))
	zeros := (8 - len(frame)%8) % 8
	if zeros != 0 {
		length |= uint64(0x80|zeros) << 56
	}
	content = binary.LittleEndian.AppendUint64(content, length)
	content = append(content, frame...)
	return append(content, make([]byte, zeros)...)
}
