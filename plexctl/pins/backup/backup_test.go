package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
)

// fake is an etcd that has one database.
type fake struct {
	leader string // identifier of the member that leads; this one is 7
	pieces [][]byte
	status int
}

func (has fake) ServeHTTP(to http.ResponseWriter, request *http.Request) {
	if has.status != 0 {
		to.WriteHeader(has.status)
		fmt.Fprint(to, `{"message": "no leader"}`)
		return
	}
	switch request.URL.Path {
	case "/v3/cluster/member/list":
		fmt.Fprint(to, `{"members": [{"name": "demo1"}, {"name": "demo2"}, {"name": "demo3", "isLearner": true}, {}]}`)
	case "/v3/maintenance/status":
		fmt.Fprintf(to, `{"header": {"member_id": "7"}, "leader": "%s"}`, has.leader)
	case "/v3/maintenance/snapshot":
		for _, piece := range has.pieces {
			fmt.Fprintf(to, `{"result": {"remaining_bytes": "1", "blob": "%s"}}`+"\n", base64.StdEncoding.EncodeToString(piece))
		}
	}
}

func database() []byte {
	content := bytes.Repeat([]byte("etcd"), 1024)
	sum := sha256.Sum256(content)
	return append(content, sum[:]...)
}

// inPieces cuts the checksum, too.
func inPieces(content []byte) [][]byte {
	cut := len(content) - 10
	return [][]byte{content[:700], content[700:cut], content[cut:]}
}

func serve(t *testing.T, has fake) etcd {
	t.Helper()
	server := httptest.NewServer(has)
	t.Cleanup(server.Close)
	return etcd{server.URL, func() (*http.Client, error) { return server.Client(), nil }}
}

func settingsFor(t *testing.T, identity *age.X25519Identity) config {
	t.Helper()
	return config{
		Version: 1, Plex: "demo", Lab: "ab", Kubernetes: "1.36.3", Epoch: 1, Services: "10.96.0.0/20",
		Domain: "cluster.local", Keep: 2, Recipient: identity.Recipient().String(), Sign: []byte("key"),
		Folder: filepath.Join(t.TempDir(), "backups"),
	}
}

func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func TestWhatIsSavedIsWhole(t *testing.T) {
	identity := newIdentity(t)
	set := settingsFor(t, identity)
	to := folder(set.Folder)
	line, err := save(t.Context(), set, to, serve(t, fake{leader: "7", pieces: inPieces(database())}))
	if err != nil || !strings.HasPrefix(line, "saved demo-") {
		t.Fatal(line, err)
	}
	found, err := own(t.Context(), set, to)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	var sealed bytes.Buffer
	if err := to.get(t.Context(), found[0].Name, &sealed); err != nil || int64(sealed.Len()) != found[0].Size {
		t.Fatal(err)
	}
	opened, err := age.Decrypt(&sealed, identity)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(opened)
	if err != nil {
		t.Fatal(err)
	}
	signed := hmac.New(sha256.New, set.Sign)
	signed.Write(content[32:])
	if !hmac.Equal(signed.Sum(nil), content[:32]) {
		t.Error("the signature is another one")
	}
	plain, err := gzip.NewReader(bytes.NewReader(content[32:]))
	if err != nil {
		t.Fatal(err)
	}
	members, names := tar.NewReader(plain), []string{}
	for {
		head, err := members.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, head.Name)
		own, err := io.ReadAll(members)
		if err != nil {
			t.Fatal(err)
		}
		var about manifest
		switch head.Name {
		case "etcd.snapshot":
			if !bytes.Equal(own, database()) {
				t.Error("another snapshot")
			}
		case "manifest.json":
			if err := json.Unmarshal(own, &about); err != nil || about.Plex != "demo" || !slices.Equal(about.Masters, []string{"demo1", "demo2"}) {
				t.Error(about, err)
			}
		}
	}
	if !slices.Equal(names, []string{"manifest.json", "etcd.snapshot"}) {
		t.Error(names)
	}
	info, err := os.Stat(filepath.Join(set.Folder, found[0].Name))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}

func TestOnlyTheLeaderSaves(t *testing.T) {
	set := settingsFor(t, newIdentity(t))
	line, err := save(t.Context(), set, folder(set.Folder), serve(t, fake{leader: "8"}))
	if err != nil || !strings.Contains(line, "another member") {
		t.Error(line, err)
	}
	if _, err := os.Stat(set.Folder); !os.IsNotExist(err) {
		t.Error("something is written", err)
	}
}

func TestADamagedSnapshotIsNotSaved(t *testing.T) {
	set := settingsFor(t, newIdentity(t))
	whole := database()
	altered := append([]byte{1}, whole[1:]...)
	for name, has := range map[string]fake{
		"cut":     {leader: "7", pieces: [][]byte{whole[:2000]}},
		"altered": {leader: "7", pieces: inPieces(altered)},
		"none":    {leader: "7"},
		"refused": {status: http.StatusServiceUnavailable},
	} {
		if line, err := save(t.Context(), set, folder(set.Folder), serve(t, has)); err == nil {
			t.Error(name, line)
		}
	}
	if found, err := own(t.Context(), set, folder(set.Folder)); err != nil || len(found) > 0 {
		t.Error(found, err)
	}
}

func TestOldBackupsOfThePlexAreDeletedAndNothingElse(t *testing.T) {
	set := settingsFor(t, newIdentity(t))
	if err := os.MkdirAll(set.Folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"demo-20260101T000000Z.backup", "demo-20260102T000000Z.backup", "demo-20260103T000000Z.backup",
		"other-20260101T000000Z.backup", "demo2-20260101T000000Z.backup", "demo.backup", "precious",
	} {
		if err := os.WriteFile(filepath.Join(set.Folder, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line, err := save(t.Context(), set, folder(set.Folder), serve(t, fake{leader: "7", pieces: inPieces(database())}))
	if err != nil || !strings.Contains(line, "2 older deleted") {
		t.Fatal(line, err)
	}
	files, err := os.ReadDir(set.Folder)
	if err != nil || len(files) != 6 {
		t.Error(files, err)
	}
	found, err := own(t.Context(), set, folder(set.Folder))
	if err != nil || len(found) != 2 || found[0].Name != "demo-20260103T000000Z.backup" {
		t.Error(found, err)
	}
}

func TestNoOtherFileIsRead(t *testing.T) {
	set := settingsFor(t, newIdentity(t))
	file := filepath.Join(t.TempDir(), "config")
	content, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../config", "/etc/passwd", "other-20260101T000000Z.backup", "demo-1.backup", ""} {
		if err := run(t.Context(), []string{"get", file, name}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "no name of a backup") {
			t.Error(name, err)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"list", "-"}, bytes.NewReader(content), &out); err != nil || out.String() != "[]\n" {
		t.Error(out.String(), err)
	}
}

func TestALinkIsNotFollowed(t *testing.T) {
	set := settingsFor(t, newIdentity(t))
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(set.Folder, 0o700); err != nil {
		t.Fatal(err)
	}
	const name = "demo-20260101T000000Z.backup"
	if err := os.Symlink(secret, filepath.Join(set.Folder, name)); err != nil {
		t.Fatal(err)
	}
	if found, err := own(t.Context(), set, folder(set.Folder)); err != nil || len(found) > 0 {
		t.Error(found, err)
	}
	if err := folder(set.Folder).get(t.Context(), name, io.Discard); err == nil {
		t.Error("it is followed")
	}
}

func TestWrongConfigurations(t *testing.T) {
	for content, expected := range map[string]string{
		`{`:                         "EOF",
		`{"version": 2}`:            "version is 2",
		`{"version": 1, "more": 1}`: "unknown field",
		`{"version": 1}`:            "missing",
		`{"version": 1, "plex": "a", "keep": 1, "folder": "/a", "s3": {}}`: "too much",
	} {
		err := run(context.Background(), []string{"list", "-"}, strings.NewReader(content), io.Discard)
		if err == nil || !strings.Contains(err.Error(), expected) {
			t.Error(content, err)
		}
	}
	for _, words := range [][]string{{}, {"list"}, {"save", "-", "more"}, {"drop", "-"}} {
		content := `{"version": 1, "plex": "a", "keep": 1, "folder": "/none"}`
		if err := run(context.Background(), words, strings.NewReader(content), io.Discard); err == nil {
			t.Error(words)
		}
	}
}
