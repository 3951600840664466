package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// These tests start the etcd of this module on folders that genesis has written. `go test -short`
// leaves them out.

// TestMain builds etcd once.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "genesis-etcd-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(folder)
		program = filepath.Join(folder, "etcd")
		return m.Run()
	}())
}

var program string

func needEtcd(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts etcd")
	}
	if _, err := os.Stat(program); err == nil {
		return
	}
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "go.etcd.io/etcd/server/v3")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

// server is a running etcd and its log.
type server struct {
	member
	client string // the address for clients
	log    string
	etcd   *exec.Cmd
}

// start starts etcd as a new member, with the options that kubeadm gives to it.
func start(t *testing.T, folder string, all []member, me member) *server {
	t.Helper()
	initial := []string{}
	for _, one := range all {
		initial = append(initial, one.name+"="+one.peer())
	}
	made := &server{member: me, client: fmt.Sprintf("http://127.0.0.1:%d", free(t))}
	made.log = filepath.Join(t.TempDir(), me.name+".log")
	log, err := os.Create(made.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	made.etcd = exec.Command(program, "--name", me.name, "--data-dir", folder, "--unsafe-no-fsync",
		"--heartbeat-interval", "50", "--election-timeout", "500",
		"--listen-peer-urls", me.peer(), "--initial-advertise-peer-urls", me.peer(),
		"--listen-client-urls", made.client, "--advertise-client-urls", made.client,
		"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-token", "demo-r1",
		"--initial-cluster-state", "new")
	made.etcd.Stdout, made.etcd.Stderr = log, log
	if err := made.etcd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.stop)
	return made
}

func (one *server) stop() {
	if one.etcd.ProcessState == nil {
		_ = one.etcd.Process.Signal(syscall.SIGKILL)
		_ = one.etcd.Wait()
	}
}

// connect waits until the server answers a linearizable read.
func (one *server) connect(t *testing.T) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{one.client}, DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	for until := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		limited, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := client.Get(limited, "/none")
		cancel()
		if err == nil {
			return client
		}
		if time.Now().After(until) {
			log, _ := os.ReadFile(one.log)
			t.Fatalf("%s does not answer: %v\n%s", one.name, err, log)
		}
	}
}

// complaints are the messages of the log's warnings and errors.
func (one *server) complaints(t *testing.T) map[string]bool {
	t.Helper()
	file, err := os.Open(one.log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	found := map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line struct{ Level, Msg string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if line.Level != "info" && line.Level != "debug" {
			found[line.Msg] = true
		}
	}
	return found
}

func free(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func identifiers(t *testing.T, client *clientv3.Client) [2]uint64 {
	t.Helper()
	status, err := client.Status(t.Context(), client.Endpoints()[0])
	if err != nil {
		t.Fatal(err)
	}
	return [2]uint64{status.Header.ClusterId, status.Header.MemberId}
}

const (
	count = 300
	// 2026-11-29T20:00:00Z is 28756800 seconds after the beginning of 2026.
	firstOf, lastOf = 28756800000, 28756800000 + count - 1
)

// checkKeys reads all keys and compares them with the file's.
func checkKeys(t *testing.T, client *clientv3.Client, file string) {
	t.Helper()
	planned, err := readInput(file)
	if err != nil {
		t.Fatal(err)
	}
	objects := planned.objects
	answer, err := client.Get(t.Context(), "/registry/", clientv3.WithPrefix(),
		clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
	if err != nil || len(answer.Kvs) != count {
		t.Fatal(len(answer.Kvs), err)
	}
	known, err := newHoles("r1", at(t, born))
	if err != nil {
		t.Fatal(err)
	}
	for i, pair := range answer.Kvs {
		value, err := known.fill(objects[i].value)
		if err != nil || string(pair.Key) != objects[i].key || string(pair.Value) != string(value) {
			t.Fatal(i, pair, objects[i].key, err)
		}
		revision := int64(firstOf + i)
		if pair.CreateRevision != revision || pair.ModRevision != revision || pair.Version != 1 || pair.Lease != 0 {
			t.Fatal(i, pair)
		}
	}
}

func TestEtcdStartsOnIt(t *testing.T) {
	needEtcd(t)
	me := member{"demo1", free(t)}
	// What etcd says and computes without genesis.
	plain := start(t, filepath.Join(t.TempDir(), "plain"), []member{me}, me)
	expected := identifiers(t, plain.connect(t))
	usual := plain.complaints(t)
	plain.stop()

	file, folder := write(t, []member{me}, count), filepath.Join(t.TempDir(), "etcd")
	create(t, file, folder, me.name)
	etcd := start(t, folder, []member{me}, me)
	client := etcd.connect(t)
	if found := identifiers(t, client); found != expected {
		t.Error("other identifiers than etcd computes", found, expected)
	}
	checkKeys(t, client, file)
	status, err := client.Status(t.Context(), etcd.client)
	if err != nil || status.StorageVersion != "3.6.0" || len(status.Errors) > 0 || status.Header.Revision != lastOf {
		t.Error(status, err)
	}

	// A client that watched an earlier cluster learns it, and so does one that reads there.
	for _, old := range []int64{1, 5000, firstOf - 1, lastOf - 1} {
		answer := <-client.Watch(t.Context(), "/registry/", clientv3.WithPrefix(), clientv3.WithRev(old))
		if !errors.Is(answer.Err(), rpctypes.ErrCompacted) || answer.CompactRevision != lastOf {
			t.Error(old, answer.Err(), answer.CompactRevision)
		}
	}
	if _, err := client.Get(t.Context(), "/a", clientv3.WithRev(firstOf-1)); !errors.Is(err, rpctypes.ErrCompacted) {
		t.Error(err)
	}

	// One that watches from here on sees what comes.
	coming := client.Watch(t.Context(), "/registry/", clientv3.WithPrefix(), clientv3.WithRev(lastOf+1))
	put, err := client.Put(t.Context(), "/registry/configmaps/default/c0", "{}", clientv3.WithPrevKV())
	if err != nil || put.Header.Revision != lastOf+1 || put.PrevKv.Version != 1 {
		t.Error(put, err)
	}
	if answer := <-coming; len(answer.Events) != 1 || answer.Events[0].Kv.ModRevision != lastOf+1 || answer.Events[0].Kv.Version != 2 {
		t.Error(answer)
	}
	if _, err := client.Compact(t.Context(), lastOf+1); err != nil {
		t.Error(err)
	}
	for message := range etcd.complaints(t) {
		if !usual[message] {
			t.Error("etcd complains:", message)
		}
	}

	// A crash, another run of genesis, and a start: nothing is lost.
	etcd.stop()
	line, err := run(settings{file, folder, me.name, "r2", at(t, "2026-12-01T00:00:00Z")})
	if err != nil || !strings.Contains(line, "nothing written") {
		t.Error(line, err)
	}
	again := start(t, folder, []member{me}, me).connect(t)
	kept, err := again.Get(t.Context(), "/registry/configmaps/default/c0")
	if err != nil || string(kept.Kvs[0].Value) != "{}" || kept.Header.Revision != lastOf+1 {
		t.Error(kept, err)
	}
}

func TestThreeMembersFormOneCluster(t *testing.T) {
	needEtcd(t)
	all := []member{{"demo1", free(t)}, {"demo2", free(t)}, {"demo3", free(t)}}
	file, root := write(t, all, count), t.TempDir()
	folder := func(one member) string { return filepath.Join(root, one.name) }
	for _, one := range all {
		create(t, file, folder(one), one.name)
	}
	hashes := func(clients []*clientv3.Client, revision int64) map[uint32]bool {
		found := map[uint32]bool{}
		for _, one := range clients {
			answer, err := one.HashKV(t.Context(), one.Endpoints()[0], revision)
			if err != nil {
				t.Fatal(err)
			}
			found[answer.Hash] = true
		}
		return found
	}
	var before map[uint32]bool
	for round := range int64(2) { // the second is a restart of all
		servers, clients := []*server{}, []*clientv3.Client{}
		for _, one := range all {
			servers = append(servers, start(t, folder(one), all, one))
		}
		for _, one := range servers {
			clients = append(clients, one.connect(t))
		}
		if round == 0 {
			for _, one := range clients {
				checkKeys(t, one, file)
			}
		}
		found := hashes(clients, lastOf+round)
		if len(found) != 1 || (round > 0 && !maps.Equal(found, before)) {
			t.Error("contents differ", round, found, before)
		}
		listed, err := clients[1].MemberList(t.Context())
		if err != nil || len(listed.Members) != 3 {
			t.Fatal(listed, err)
		}
		for _, one := range listed.Members {
			if one.IsLearner || len(one.PeerURLs) != 1 || one.Name == "" {
				t.Error(one)
			}
		}
		put, err := clients[2].Put(t.Context(), "/registry/configmaps/default/c1", fmt.Sprint(round))
		if err != nil || put.Header.Revision != lastOf+1+round {
			t.Error(put, err)
		}
		answer, err := clients[0].Get(t.Context(), "/registry/configmaps/default/c1")
		if err != nil || string(answer.Kvs[0].Value) != fmt.Sprint(round) {
			t.Error(answer, err)
		}
		before = hashes(clients, lastOf+1+round)
		for _, one := range servers {
			one.stop()
		}
	}
}
