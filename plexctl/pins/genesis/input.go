package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const format = 1

// cluster is what `--initial-cluster` and `--initial-cluster-token` say to etcd.
type cluster struct {
	Token   string
	Members []struct{ Name, Peer string }
}

// object is one key of etcd. Its value is JSON, byte for byte as in the file.
type object struct {
	key   string
	value []byte
}

// plan is what the folder is to have: a cluster, and either objects or the contents of a snapshot.
type plan struct {
	cluster  cluster
	objects  []object
	snapshot *snapshot // nil: objects
}

// readInput reads the file. It refuses what etcd or the API server would stumble over later.
func readInput(path string) (plan, error) {
	var input struct {
		Version int
		Cluster cluster
		Objects []struct {
			Key   string
			Value json.RawMessage
		}
		Snapshot *snapshot
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return plan{}, err
	}
	wrong := func(err error) (plan, error) {
		return plan{}, fmt.Errorf("%s: %w", path, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&input); err != nil {
		return wrong(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return wrong(errors.New("there is more after the document"))
	}
	if input.Version != format {
		return wrong(fmt.Errorf("version is %d; this program reads version %d", input.Version, format))
	}
	contents := len(input.Objects) > 0
	if input.Cluster.Token == "" || len(input.Cluster.Members) == 0 || contents == (input.Snapshot != nil) {
		return wrong(errors.New(
			"cluster.token, cluster.members, or one of objects and snapshot is missing or too much"))
	}
	if input.Snapshot != nil {
		if err := input.Snapshot.check(); err != nil {
			return wrong(err)
		}
	}
	seen := make(map[string]bool, len(input.Objects))
	objects := make([]object, 0, len(input.Objects))
	for _, one := range input.Objects {
		if !strings.HasPrefix(one.Key, "/") || seen[one.Key] {
			return wrong(fmt.Errorf("key %q is there twice or does not begin with '/'", one.Key))
		}
		seen[one.Key] = true
		if err := check(one.Value); err != nil {
			return wrong(fmt.Errorf("%s: %w", one.Key, err))
		}
		objects = append(objects, object{one.Key, one.Value})
	}
	return plan{input.Cluster, objects, input.Snapshot}, nil
}

// check refuses a value that is no Kubernetes object.
func check(value json.RawMessage) error {
	var head struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
	}
	if err := json.Unmarshal(value, &head); err != nil {
		return fmt.Errorf("not a Kubernetes object: %w", err)
	}
	// The API server's own records of allocated ranges have no name.
	named := head.Metadata.Name != "" || head.Kind == "RangeAllocation"
	if head.APIVersion == "" || head.Kind == "" || !named {
		return errors.New("not a Kubernetes object: apiVersion, kind or metadata.name is missing")
	}
	return nil
}
