package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"
)

const born = "2026-11-29T20:00:00Z"

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func filled(t *testing.T, run, value string) (string, error) {
	t.Helper()
	known, err := newHoles(run, at(t, "2026-11-29T21:00:00.9+01:00"))
	if err != nil {
		t.Fatal(err)
	}
	made, err := known.fill([]byte(value))
	return string(made), err
}

func TestHoles(t *testing.T) {
	// Python: uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, "plexctl:r1"), "/registry/namespaces/default")
	const uid = "cd4445db-cb43-5b60-8444-9776879232f4"
	for value, expected := range map[string]string{
		`{"a":"${uid:/registry/namespaces/default}"}`:                 `{"a":"` + uid + `"}`,
		`{"a":"k:{\"uid\":\"${uid:/registry/namespaces/default}\"}"}`: `{"a":"k:{\"uid\":\"` + uid + `\"}"}`,
		`{"k:{\"uid\":\"${uid:/registry/namespaces/default}\"}":{}}`:  `{"k:{\"uid\":\"` + uid + `\"}":{}}`,
		`{"a":"${now}","b":"x${now}${now}"}`:                          `{"a":"` + born + `","b":"x` + born + born + `"}`,
		`{"a":"${{HOME} $ $$ ${{now} ${{{b}"}`:                        `{"a":"${HOME} $ $$ ${now} ${{b}"}`,
		`{"a":"$${now}","b":"\\${now}","c":"$"}`:                      `{"a":"$` + born + `","b":"\\` + born + `","c":"$"}`,
		`{"a":"\u0024{now} \" ${now}"}`:                               `{"a":"\u0024{now} \" ` + born + `"}`,
	} {
		made, err := filled(t, "r1", value)
		if err != nil || made != expected {
			t.Errorf("%s: %s, %v; not %s", value, made, err, expected)
		}
	}
}

func TestWhatIsNoHoleKeepsItsBytes(t *testing.T) {
	value := `{ "z":9007199254740993, "a" : 1.10, "b":[1e400, -0, "\u00e9é\/"],"t":"${now}","z":null }`
	made, err := filled(t, "r1", value)
	if err != nil || made != strings.ReplaceAll(value, "${now}", born) {
		t.Error(made, err)
	}
}

func TestUnknownHoles(t *testing.T) {
	for _, hole := range []string{"${time}", "${}", "${uid:}", "${uid:registry}", "${uid:/a", "${now ", "${uid:/\\u0041}"} {
		if made, err := filled(t, "r1", `{"a":"`+hole+`","b":"}"}`); err == nil {
			t.Errorf("%s: no error but %s", hole, made)
		}
	}
}

func TestUIDsDifferByRunAndKey(t *testing.T) {
	seen := map[string]bool{}
	for _, run := range []string{"r1", "r2"} {
		for _, key := range []string{"/a", "/b"} {
			made, err := filled(t, run, `"${uid:`+key+`}"`)
			again, _ := filled(t, run, `"${uid:`+key+`}"`)
			if err != nil || made != again || seen[made] || made[15] != '5' || !strings.Contains("89ab", made[20:21]) {
				t.Error(run, key, made, again, err)
			}
			seen[made] = true
		}
	}
}

// member is one of a cluster in a test, with its port.
type member struct {
	name string
	port int
}

func (one member) peer() string { return fmt.Sprintf("http://127.0.0.1:%d", one.port) }

// write writes a file for genesis with that many objects.
func write(t *testing.T, members []member, count int) string {
	t.Helper()
	type entry struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}
	objects := make([]entry, count)
	for i := range objects {
		// Not in the order of keys.
		key := fmt.Sprintf("/registry/configmaps/default/c%d", (i*7)%count)
		objects[i] = entry{key, json.RawMessage(fmt.Sprintf(
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c%d","uid":"${uid:%s}",`+
				`"creationTimestamp":"${now}","generation":9007199254740993},"data":{"a":"%s"}}`,
			(i*7)%count, key, strings.Repeat("x", 1500)))}
	}
	peers := []map[string]string{}
	for _, one := range members {
		peers = append(peers, map[string]string{"name": one.name, "peer": one.peer()})
	}
	content, err := json.Marshal(map[string]any{
		"version": 1, "cluster": map[string]any{"token": "demo-r1", "members": peers}, "objects": objects,
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

var three = []member{{"demo1", 23801}, {"demo2", 23802}, {"demo3", 23803}}

func create(t *testing.T, file, folder, name string) {
	t.Helper()
	if line, err := run(settings{file, folder, name, "r1", at(t, born)}); err != nil {
		t.Fatal(line, err)
	}
}

func TestMembersAgree(t *testing.T) {
	file, root := write(t, three, 300), t.TempDir()
	var first []byte
	for _, one := range three {
		folder := filepath.Join(root, one.name)
		create(t, file, folder, one.name)
		content, err := os.ReadFile(filepath.Join(folder, "member", "snap", "db"))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = content
		}
		if !bytes.Equal(first, content) {
			t.Error(one.name, "has another database")
		}
	}
}

func TestEtcdReadsLogAndSnapshot(t *testing.T) {
	file, folder := write(t, three, 3), filepath.Join(t.TempDir(), "etcd")
	create(t, file, folder, "demo2")
	logs := filepath.Join(folder, "member", "wal")
	marks, err := wal.ValidSnapshotEntries(zap.NewNop(), logs)
	if err != nil || len(marks) != 2 || marks[1].Index != 3 || len(marks[1].ConfState.Voters) != 3 {
		t.Fatal(marks, err)
	}
	found, err := snap.New(zap.NewNop(), filepath.Join(folder, "member", "snap")).LoadNewestAvailable(marks)
	if err != nil || found.Metadata.Index != 3 || found.Metadata.Term != 1 {
		t.Fatal(found, err)
	}
	open, err := wal.OpenForRead(zap.NewNop(), logs, walpb.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	_, state, entries, err := open.ReadAll()
	if err != nil || state.Commit != 3 || state.Term != 1 || len(entries) != 3 {
		t.Fatal(state, entries, err)
	}
}

func TestOnlyItsOwnerReadsIt(t *testing.T) {
	file, folder := write(t, three, 3), filepath.Join(t.TempDir(), "etcd")
	create(t, file, folder, "demo1")
	err := filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err == nil && (info.Mode().Perm()&0o077 != 0 || info.Size() > 1<<20) {
			t.Error(path, info.Mode(), info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDataIsNeverReplaced(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "etcd")
	kept := filepath.Join(folder, "member", "kept")
	if err := os.MkdirAll(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	line, err := run(settings{"/no/such/file", folder, "demo1", "r1", at(t, born)})
	if err != nil || !strings.Contains(line, "exists: nothing written") {
		t.Error(line, err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

func TestAnInterruptedRunIsRepeated(t *testing.T) {
	file, folder := write(t, three, 3), filepath.Join(t.TempDir(), "etcd")
	for _, left := range []string{folder, folder + ".new/member/wal/half"} {
		if err := os.MkdirAll(left, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	create(t, file, folder, "demo1")
	if _, err := os.Stat(filepath.Join(folder, "member", "wal", "half")); !os.IsNotExist(err) {
		t.Error(err)
	}
	if _, err := os.Stat(folder + ".new"); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestAFolderWithOtherFilesStays(t *testing.T) {
	file, folder := write(t, three, 3), filepath.Join(t.TempDir(), "etcd")
	if err := os.MkdirAll(filepath.Join(folder, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	if line, err := run(settings{file, folder, "demo1", "r1", at(t, born)}); err == nil {
		t.Error(line)
	}
}

func TestWrongInput(t *testing.T) {
	const head = `{"version":1,"cluster":{"token":"t","members":[{"name":"demo1","peer":"https://10.0.0.1:2380"}]},"objects":`
	const object = `{"key":"/a","value":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}}`
	for content, expected := range map[string]string{
		`{`:                                 "unexpected EOF",
		head + `[` + object + `]} {}`:       "more after",
		`{"version":2}`:                     "version is 2",
		head + `[]}`:                        "missing",
		head + `[` + object + `],"more":1}`: "unknown field",
		head + `[` + object + `,` + object + `]}`:                                                                      "twice",
		head + `[{"key":"a","value":{}}]}`:                                                                             "begin with '/'",
		head + `[{"key":"/a"}]}`:                                                                                       "not a Kubernetes object",
		head + `[{"key":"/a","value":[]}]}`:                                                                            "not a Kubernetes object",
		head + `[{"key":"/a","value":{"kind":"Pod"}}]}`:                                                                "apiVersion, kind or metadata.name",
		strings.Replace(head, `"t"`, `""`, 1) + `[` + object + `]}`:                                                    "missing",
		strings.Replace(head, `"demo1"`, `"demo9"`, 1) + `[` + object + `]}`:                                           `no member "demo1"`,
		strings.Replace(head, `10.0.0.1:2380`, `10.0.0.1`, 1) + `[` + object + `]}`:                                    `member "demo1"`,
		strings.Replace(head, `}]},`, `},{"name":"demo1","peer":"https://10.0.0.2:2380"}]},`, 1) + `[` + object + `]}`: "twice",
		strings.Replace(head, `}]},`, `},{"name":"demo2","peer":"https://10.0.0.1:2380"}]},`, 1) + `[` + object + `]}`: "twice",
		head + strings.Replace(`[`+object+`]}`, `"Pod"`, `"${kind}"`, 1):                                               "/a: unknown hole",
	} {
		root := t.TempDir()
		file := filepath.Join(root, "genesis.json")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		line, err := run(settings{file, filepath.Join(root, "etcd"), "demo1", "r1", at(t, born)})
		if err == nil || !strings.Contains(err.Error(), expected) {
			t.Errorf("%s: %s, %v; not %s", content, line, err, expected)
		}
		if _, err := os.Stat(filepath.Join(root, "etcd")); !os.IsNotExist(err) {
			t.Errorf("%s: something is written", content)
		}
	}
}

func TestRecordsOfRangesHaveNoName(t *testing.T) {
	if err := check([]byte(`{"apiVersion":"v1","kind":"RangeAllocation","metadata":{},"range":"10.96.0.0/12"}`)); err != nil {
		t.Error(err)
	}
}

func TestTimes(t *testing.T) {
	first, err := firstRevision(at(t, "2026-01-01T00:00:02.5Z"))
	if err != nil || first != 2000 {
		t.Error(first, err)
	}
	if _, err := firstRevision(at(t, "2025-12-31T23:59:59Z")); err == nil {
		t.Error("a time before revisions begin is accepted")
	}
	// Members that each take their own clock would differ.
	file := write(t, three, 3)
	if line, err := run(settings{from: file, folder: filepath.Join(t.TempDir(), "etcd"), name: "demo1", run: "r1"}); err == nil {
		t.Error(line)
	}
}

func TestOptions(t *testing.T) {
	right := []string{"--from", "f", "--data-dir", "d", "--name", "n", "--run", "r", "--time", born}
	set, err := readOptions(right)
	if err != nil || set != (settings{"f", "d", "n", "r", at(t, born)}) {
		t.Error(set, err)
	}
	for _, wrong := range [][]string{right[2:], right[:6], append(right, "more"), append(right, "--time", "now"), {"--none"}} {
		if set, err := readOptions(wrong); err == nil {
			t.Error(wrong, set)
		}
	}
}
