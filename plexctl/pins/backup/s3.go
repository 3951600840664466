package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3 is a bucket of a server that speaks S3.
type s3 struct {
	Endpoint  string `json:"endpoint"` // host, or host:port
	Plain     bool   `json:"plain"`    // HTTP
	Region    string `json:"region"`
	Bucket    string `json:"bucket"`
	Prefix    string `json:"prefix"`    // "" or "a/b/"
	CA        string `json:"ca"`        // PEM; empty: the public authorities
	AccessKey string `json:"accessKey"` // its name
	SecretKey string `json:"secretKey"`
}

// bucket is one that is open.
type bucket struct {
	client *minio.Client
	name   string
	prefix string
}

func (at *s3) open() (store, error) {
	options := &minio.Options{
		Creds:  credentials.NewStaticV4(at.AccessKey, at.SecretKey, ""),
		Secure: !at.Plain, Region: at.Region,
	}
	if at.CA != "" {
		trusted := x509.NewCertPool()
		if !trusted.AppendCertsFromPEM([]byte(at.CA)) {
			return nil, errors.New("ca has no certificate")
		}
		plain, ok := http.DefaultTransport.(*http.Transport)
		if !ok {
			return nil, errors.New("no transport")
		}
		transport := plain.Clone()
		transport.TLSClientConfig = &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
		options.Transport = transport
	}
	client, err := minio.New(at.Endpoint, options)
	if err != nil {
		return nil, err
	}
	return bucket{client, at.Bucket, at.Prefix}, nil
}

func (in bucket) put(ctx context.Context, name string, content []byte) error {
	options := minio.PutObjectOptions{ContentType: "application/octet-stream"}
	_, err := in.client.PutObject(
		ctx, in.name, in.prefix+name, bytes.NewReader(content), int64(len(content)), options)
	return err
}

func (in bucket) list(ctx context.Context) ([]entry, error) {
	found := []entry{}
	for one := range in.client.ListObjects(ctx, in.name, minio.ListObjectsOptions{Prefix: in.prefix}) {
		if one.Err != nil {
			return nil, one.Err
		}
		found = append(found, entry{strings.TrimPrefix(one.Key, in.prefix), one.Size})
	}
	return found, nil
}

func (in bucket) get(ctx context.Context, name string, into io.Writer) error {
	object, err := in.client.GetObject(ctx, in.name, in.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer object.Close()
	_, err = io.Copy(into, object)
	return err
}

func (in bucket) delete(ctx context.Context, name string) error {
	return in.client.RemoveObject(ctx, in.name, in.prefix+name, minio.RemoveObjectOptions{})
}
