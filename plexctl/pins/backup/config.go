package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"
)

const version = 1

// config is what plexctl writes for a plex.
type config struct {
	Version    int    `json:"version"`
	Plex       string `json:"plex"`
	Lab        string `json:"lab"`
	Kubernetes string `json:"kubernetes"`
	Epoch      int    `json:"epoch"`
	Services   string `json:"services"`
	Domain     string `json:"domain"`
	Keep       int    `json:"keep"`      // backups
	Recipient  string `json:"recipient"` // the public key of age
	Sign       []byte `json:"sign"`      // the key of signatures
	Folder     string `json:"folder"`
	S3         *s3    `json:"s3"` // instead of the folder
}

const mostConfig = 1 << 20

func readConfig(path string, in io.Reader) (config, error) {
	var set config
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return set, err
		}
		defer file.Close()
		in = file
	}
	content, err := io.ReadAll(io.LimitReader(in, mostConfig))
	if err != nil {
		return set, err
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&set); err != nil {
		return set, fmt.Errorf("%s: %w", path, err)
	}
	if set.Version != version {
		return set, fmt.Errorf("%s: version is %d; this program reads version %d", path, set.Version, version)
	}
	if set.Plex == "" || set.Keep < 1 || (set.Folder == "") == (set.S3 == nil) {
		return set, errors.New("plex, keep, or one of folder and s3 is missing or too much")
	}
	return set, nil
}

func (set config) open() (store, error) {
	if set.S3 != nil {
		return set.S3.open()
	}
	return folder(set.Folder), nil
}

// stamp sorts as time does.
const stamp = "20060102T150405Z"

func (set config) name(at time.Time) string {
	return set.Plex + "-" + at.Format(stamp) + ".backup"
}

// names matches the names of the plex' backups. Whatever else is in the store is somebody else's.
func (set config) names() *regexp.Regexp {
	return regexp.MustCompile("^" + regexp.QuoteMeta(set.Plex) + `-\d{8}T\d{6}Z\.backup$`)
}
