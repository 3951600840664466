package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

const (
	address = "https://127.0.0.1:2379"
	pki     = "/etc/kubernetes/pki/etcd"
)

// etcd is the member of this master, which answers JSON to holders of a certificate.
type etcd struct {
	address string
	client  func() (*http.Client, error)
}

func newEtcd() etcd { return etcd{address, withCertificate} }

func withCertificate() (*http.Client, error) {
	own, err := tls.LoadX509KeyPair(pki+"/healthcheck-client.crt", pki+"/healthcheck-client.key")
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(pki + "/ca.crt")
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s/ca.crt has no certificate", pki)
	}
	settings := &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: trusted}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: settings}}, nil
}

// state is what a member knows about its cluster.
type state struct {
	leads  bool
	voters []string // names of the members
}

func (from etcd) state(ctx context.Context) (state, error) {
	var listed struct {
		Members []struct {
			Name      string
			IsLearner bool
		}
	}
	var status struct {
		Header struct {
			MemberID string `json:"member_id"`
		}
		Leader string
	}
	// Of a member that is cut off from the others this fails: what it knows may be old.
	if err := from.call(ctx, "cluster/member/list", `{"linearizable": true}`, &listed); err != nil {
		return state{}, err
	}
	if err := from.call(ctx, "maintenance/status", "{}", &status); err != nil {
		return state{}, err
	}
	found := state{leads: status.Leader != "" && status.Leader == status.Header.MemberID}
	for _, one := range listed.Members {
		if one.Name != "" && !one.IsLearner {
			found.voters = append(found.voters, one.Name)
		}
	}
	return found, nil
}

func (from etcd) call(ctx context.Context, path, body string, into any) error {
	answer, err := from.post(ctx, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	return json.NewDecoder(answer).Decode(into)
}

func (from etcd) post(ctx context.Context, path, body string) (io.ReadCloser, error) {
	client, err := from.client()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, from.address+"/v3/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		answer.Body.Close()
		return nil, fmt.Errorf("etcd refuses %s: %s %s", path, answer.Status, said)
	}
	return answer.Body, nil
}

// mostLine is more than a piece of a snapshot takes, in base64.
const mostLine = 16 << 20

// snapshot writes the database and its checksum, which it verifies.
func (from etcd) snapshot(ctx context.Context, into io.Writer) (int64, error) {
	answer, err := from.post(ctx, "maintenance/snapshot", "{}")
	if err != nil {
		return 0, err
	}
	defer answer.Close()
	var size int64
	sum, last := sha256.New(), []byte{}
	lines := bufio.NewScanner(answer)
	lines.Buffer(nil, mostLine)
	for lines.Scan() {
		var piece struct {
			Result *struct{ Blob []byte }
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(lines.Bytes(), &piece); err != nil {
			return size, err
		}
		if piece.Result == nil {
			return size, errors.New("etcd ends the snapshot: " + string(lines.Bytes()))
		}
		written, err := into.Write(piece.Result.Blob)
		size += int64(written)
		if err != nil {
			return size, err
		}
		// The checksum is the end of the stream, which may be in two pieces.
		last = append(last, piece.Result.Blob...)
		if cut := len(last) - sha256.Size; cut > 0 {
			sum.Write(last[:cut])
			last = append([]byte{}, last[cut:]...)
		}
	}
	if err := lines.Err(); err != nil {
		return size, err
	}
	if size%512 != sha256.Size || !bytes.Equal(sum.Sum(nil), last) {
		return size, errors.New("the snapshot of etcd arrived damaged")
	}
	return size, nil
}
