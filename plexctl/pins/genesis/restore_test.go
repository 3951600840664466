package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// saved starts a cluster of one member, changes it, and writes a snapshot of it to a file.
func saved(t *testing.T) (file string, latest int64) {
	t.Helper()
	me := member{"old1", free(t)}
	folder := filepath.Join(t.TempDir(), "etcd")
	create(t, write(t, []member{me}, count), folder, me.name)
	etcd := start(t, folder, []member{me}, me)
	client := etcd.connect(t)
	for _, one := range []string{"minions/demo1", "minions/demo2", "minions/demo3", "leases/kube-node-lease/demo1", "pods/default/a"} {
		if _, err := client.Put(t.Context(), "/registry/"+one, one); err != nil {
			t.Fatal(err)
		}
	}
	lease, err := client.Grant(t.Context(), 3600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Put(t.Context(), "/registry/events/default/a", "a", clientv3.WithLease(lease.ID)); err != nil {
		t.Fatal(err)
	}
	// What is deleted already needs no other deletion.
	done, err := client.Delete(t.Context(), "/registry/minions/demo3")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := client.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	etcd.stop()
	file = filepath.Join(t.TempDir(), "etcd.snapshot")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, done.Header.Revision
}

// restoring writes a file for genesis that names a snapshot.
func restoring(t *testing.T, members []member, from snapshot) string {
	t.Helper()
	peers := []map[string]string{}
	for _, one := range members {
		peers = append(peers, map[string]string{"name": one.name, "peer": one.peer()})
	}
	content, err := json.Marshal(map[string]any{
		"version": 1, "cluster": map[string]any{"token": "demo-r2", "members": peers},
		"snapshot": map[string]any{
			"file": from.File, "continues": from.Continues, "drop": from.Drop, "keep": from.Keep,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "genesis.json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const later = "2026-11-29T21:00:00Z"

func restore(t *testing.T, file, folder, name string) string {
	t.Helper()
	line, err := run(settings{file, folder, name, "r2", at(t, later)})
	if err != nil {
		t.Fatal(line, err)
	}
	return line
}

func keys(t *testing.T, client *clientv3.Client, prefix string) []string {
	t.Helper()
	found, err := client.Get(t.Context(), prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, one := range found.Kvs {
		names = append(names, strings.TrimPrefix(string(one.Key), prefix))
	}
	return names
}

func TestANewClusterTakesOverASnapshot(t *testing.T) {
	needEtcd(t)
	file, latest := saved(t)
	first, err := firstRevision(at(t, later))
	if err != nil || first <= latest {
		t.Fatal(first, latest, err)
	}
	all := []member{{"demo1", free(t)}, {"demo2", free(t)}, {"demo3", free(t)}}
	input := restoring(t, all, snapshot{
		File: file, Drop: []string{"/registry/minions/", "/registry/leases/kube-node-lease/", "/none/"},
		Keep: []string{"/registry/minions/demo1"},
	})
	servers, clients := []*server{}, []*clientv3.Client{}
	for _, one := range all {
		folder := filepath.Join(t.TempDir(), one.name)
		line := restore(t, input, folder, one.name)
		if !strings.Contains(line, fmt.Sprintf("2 keys deleted, revision %d", first+1)) {
			t.Error(line)
		}
		servers = append(servers, start(t, folder, all, one))
	}
	for _, one := range servers {
		clients = append(clients, one.connect(t))
	}
	client := clients[0]
	if found := keys(t, client, "/registry/minions/"); len(found) != 1 || found[0] != "demo1" {
		t.Error(found)
	}
	if found := keys(t, client, "/registry/leases/"); len(found) != 0 {
		t.Error(found)
	}
	if found := keys(t, client, "/registry/configmaps/"); len(found) != count {
		t.Error(len(found))
	}
	if found := keys(t, client, "/registry/events/"); len(found) != 1 {
		t.Error(found)
	}
	hashes := map[uint32]bool{}
	for _, one := range clients {
		answer, err := one.HashKV(t.Context(), one.Endpoints()[0], first+1)
		if err != nil {
			t.Fatal(err)
		}
		hashes[answer.Hash] = true
	}
	if len(hashes) != 1 {
		t.Error("contents differ", hashes)
	}
	listed, err := client.MemberList(t.Context())
	if err != nil || len(listed.Members) != 3 {
		t.Fatal(listed, err)
	}
	for _, old := range []int64{firstOf, latest, latest + 1, first} {
		answer := <-client.Watch(t.Context(), "/registry/", clientv3.WithPrefix(), clientv3.WithRev(old))
		if !errors.Is(answer.Err(), rpctypes.ErrCompacted) {
			t.Error(old, answer.Err())
		}
	}
	put, err := client.Put(t.Context(), "/registry/pods/default/a", "b", clientv3.WithPrevKV())
	if err != nil || put.Header.Revision != first+2 || string(put.PrevKv.Value) != "pods/default/a" {
		t.Error(put, err)
	}
}

func TestAClusterContinues(t *testing.T) {
	needEtcd(t)
	file, latest := saved(t)
	me := member{"demo1", free(t)}
	folder := filepath.Join(t.TempDir(), "etcd")
	restore(t, restoring(t, []member{me}, snapshot{File: file, Continues: true}), folder, me.name)
	etcd := start(t, folder, []member{me}, me)
	client := etcd.connect(t)
	if found := keys(t, client, "/registry/minions/"); len(found) != 2 {
		t.Error(found)
	}
	// A client that watched before sees what it has missed, and what comes.
	coming := client.Watch(t.Context(), "/registry/minions/", clientv3.WithPrefix(), clientv3.WithRev(latest))
	put, err := client.Put(t.Context(), "/registry/minions/demo4", "{}")
	if err != nil || put.Header.Revision != latest+1 {
		t.Error(put, err)
	}
	events := []string{}
	for len(events) < 2 {
		answer := <-coming
		if answer.Err() != nil {
			t.Fatal(answer.Err())
		}
		for _, one := range answer.Events {
			events = append(events, one.Type.String()+string(one.Kv.Key))
		}
	}
	if events[0] != "DELETE/registry/minions/demo3" || events[1] != "PUT/registry/minions/demo4" {
		t.Error(events)
	}
}

func TestAClockThatWentBack(t *testing.T) {
	needEtcd(t)
	file, latest := saved(t)
	me := member{"demo1", free(t)}
	folder := filepath.Join(t.TempDir(), "etcd")
	input := restoring(t, []member{me}, snapshot{File: file})
	line, err := run(settings{input, folder, me.name, "r2", at(t, "2026-02-01T00:00:00Z")})
	if err != nil || !strings.Contains(line, fmt.Sprintf("0 keys deleted, revision %d", latest+revisionsAhead)) {
		t.Fatal(line, err)
	}
	etcd := start(t, folder, []member{me}, me)
	put, err := etcd.connect(t).Put(t.Context(), "/registry/a", "a")
	if err != nil || put.Header.Revision != latest+revisionsAhead+1 {
		t.Error(put, err)
	}
}

func TestDamagedSnapshotsAreRefused(t *testing.T) {
	root := t.TempDir()
	good := make([]byte, 4096)
	sum := sha256.Sum256(good)
	for name, one := range map[string]struct {
		content  []byte
		expected string
	}{
		"missing":   {nil, "no such file"},
		"empty":     {[]byte{}, "only a part"},
		"cut":       {append([]byte{}, good[:1000]...), "only a part"},
		"no sum":    {good, "only a part"},
		"wrong sum": {append(append([]byte{}, good...), make([]byte, 32)...), "checksum differs"},
		// Its checksum is right, and it is no database.
		"nothing": {append(append([]byte{}, good...), sum[:]...), "cannot write"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(root, name)
			if one.content != nil {
				if err := os.WriteFile(file, one.content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			folder := filepath.Join(t.TempDir(), "etcd")
			input := restoring(t, three[:1], snapshot{File: file})
			line, err := run(settings{input, folder, "demo1", "r2", at(t, later)})
			if err == nil || !strings.Contains(err.Error(), one.expected) {
				t.Error(line, err)
			}
			if _, err := os.Stat(folder); !os.IsNotExist(err) {
				t.Error("something is written")
			}
		})
	}
}

func TestWrongRestores(t *testing.T) {
	const head = `{"version":1,"cluster":{"token":"t","members":[{"name":"demo1","peer":"https://10.0.0.1:2380"}]},`
	const object = `"objects":[{"key":"/a","value":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}}]`
	for content, expected := range map[string]string{
		head + object + `,"snapshot":{"file":"/a"}}`:    "too much",
		head + `"snapshot":{"file":"a"}}`:               "absolute path",
		head + `"snapshot":{"file":"/a","drop":["a"]}}`: "begin with '/'",
		head + `"snapshot":{"file":"/a","bump":1}}`:     "unknown field",
		head + `"snapshot":null}`:                       "missing",
	} {
		file := filepath.Join(t.TempDir(), "genesis.json")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		line, err := run(settings{file, filepath.Join(t.TempDir(), "etcd"), "demo1", "r2", at(t, later)})
		if err == nil || !strings.Contains(err.Error(), expected) {
			t.Errorf("%s: %s, %v; not %s", content, line, err, expected)
		}
	}
}
