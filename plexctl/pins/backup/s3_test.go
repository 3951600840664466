package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// This test uses a server that speaks S3: the program versitygw in $S3_SERVER, on a folder.
func TestAStoreOfS3(t *testing.T) {
	program := os.Getenv("S3_SERVER")
	if program == "" {
		t.Skip("S3_SERVER is not set")
	}
	const address, access, secret = "127.0.0.1:17070", "lab", "a secret of tests"
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "backups"), 0o700); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(program, "--port", address, "--access", access, "--secret", secret, "posix", root)
	server.Stdout, server.Stderr = os.Stderr, os.Stderr
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGKILL)
		_ = server.Wait()
	})
	set := settingsFor(t, newIdentity(t))
	set.Folder = ""
	set.S3 = &s3{
		Endpoint: address, Plain: true, Region: "us-east-1", Bucket: "backups", Prefix: "labs/one/",
		AccessKey: access, SecretKey: secret,
	}
	to, err := set.open()
	if err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if _, err = to.list(t.Context()); err == nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"demo-20260101T000000Z.backup", "demo-20260102T000000Z.backup", "precious"} {
		if err := to.put(t.Context(), name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	line, err := save(t.Context(), set, to, serve(t, fake{leader: "7", pieces: inPieces(database())}))
	if err != nil || !strings.Contains(line, "1 older deleted") {
		t.Fatal(line, err)
	}
	found, err := own(t.Context(), set, to)
	if err != nil || len(found) != 2 || found[0].Name != "demo-20260102T000000Z.backup" {
		t.Fatal(found, err)
	}
	var content bytes.Buffer
	if err := to.get(t.Context(), found[1].Name, &content); err != nil || int64(content.Len()) != found[1].Size {
		t.Error(err)
	}
	if err := to.get(t.Context(), "demo-20250101T000000Z.backup", &content); err == nil {
		t.Error("what is not there is read")
	}
	if _, err := os.Stat(filepath.Join(root, "backups", "labs", "one", "precious")); err != nil {
		t.Error(err)
	}
	set.S3.SecretKey = "wrong"
	wrong, err := set.open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrong.list(t.Context()); err == nil {
		t.Error("a wrong key is accepted")
	}
}
