package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"io"
	"os"
	"time"

	"filippo.io/age"
)

type manifest struct {
	Version    int      `json:"version"`
	Plex       string   `json:"plex"`
	Lab        string   `json:"lab"`
	Created    string   `json:"created"`
	Kubernetes string   `json:"kubernetes"`
	Masters    []string `json:"masters"`
	Epoch      int      `json:"epoch"`
	Services   string   `json:"services"`
	Domain     string   `json:"domain"`
}

// archive is the content of the file of a backup.
func (set config) archive(ctx context.Context, from etcd, masters []string, at time.Time) ([]byte, error) {
	recipient, err := age.ParseX25519Recipient(set.Recipient)
	if err != nil {
		return nil, err
	}
	about, err := json.Marshal(manifest{
		1, set.Plex, set.Lab, at.Format("2006-01-02T15:04:05+00:00"), set.Kubernetes, masters,
		set.Epoch, set.Services, set.Domain,
	})
	if err != nil {
		return nil, err
	}
	// A tar says the size of a member before its content. Only root reads this file, and it has no
	// name once it is open.
	saved, err := os.CreateTemp("", "etcd-")
	if err != nil {
		return nil, err
	}
	defer saved.Close()
	if err := os.Remove(saved.Name()); err != nil {
		return nil, err
	}
	size, err := from.snapshot(ctx, saved)
	if err != nil {
		return nil, err
	}
	if _, err := saved.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	body, err := packed(about, saved, size)
	if err != nil {
		return nil, err
	}
	signed := hmac.New(sha256.New, set.Sign)
	signed.Write(body)
	var sealed bytes.Buffer
	into, err := age.Encrypt(&sealed, recipient)
	if err != nil {
		return nil, err
	}
	for _, part := range [][]byte{signed.Sum(nil), body} {
		if _, err := into.Write(part); err != nil {
			return nil, err
		}
	}
	if err := into.Close(); err != nil {
		return nil, err
	}
	return sealed.Bytes(), nil
}

// packed is the compressed tar.
func packed(about []byte, saved io.Reader, size int64) ([]byte, error) {
	var body bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&body, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	members := tar.NewWriter(compressed)
	for _, one := range []struct {
		name    string
		size    int64
		content io.Reader
	}{
		{"manifest.json", int64(len(about)), bytes.NewReader(about)},
		{"etcd.snapshot", size, saved},
	} {
		head := tar.Header{Name: one.name, Mode: 0o600, Size: one.size, Format: tar.FormatUSTAR}
		if err := members.WriteHeader(&head); err != nil {
			return nil, err
		}
		if _, err := io.Copy(members, one.content); err != nil {
			return nil, err
		}
	}
	if err := members.Close(); err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}
