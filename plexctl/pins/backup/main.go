// Backup saves etcd of a plex to a folder or to an S3 store, on a master, and reads what is there.
//
//	backup save CONFIG       save a snapshot, if this member of etcd leads, and delete old ones
//	backup list CONFIG       print the names and sizes of the plex' backups as JSON, the oldest first
//	backup get CONFIG NAME   write one to standard output, in base64
//
// CONFIG is a file of JSON (config.go), or "-" for standard input: it holds keys, which are never
// arguments. The file of a backup is that of plexctl/workflow/backups/archive.py.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// limit bounds each call of this program.
const limit = 15 * time.Minute

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "backup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, words []string, in io.Reader, out io.Writer) error {
	if len(words) < 2 {
		return errors.New("usage: backup save|list|get CONFIG [NAME]")
	}
	set, err := readConfig(words[1], in)
	if err != nil {
		return err
	}
	to, err := set.open()
	if err != nil {
		return err
	}
	switch {
	case words[0] == "save" && len(words) == 2:
		line, err := save(ctx, set, to, newEtcd())
		if err == nil {
			fmt.Fprintln(out, line)
		}
		return err
	case words[0] == "list" && len(words) == 2:
		found, err := own(ctx, set, to)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(found)
	case words[0] == "get" && len(words) == 3:
		if !set.names().MatchString(words[2]) {
			return fmt.Errorf("%q is no name of a backup of %s", words[2], set.Plex)
		}
		encoder := base64.NewEncoder(base64.StdEncoding, out)
		return errors.Join(to.get(ctx, words[2], encoder), encoder.Close())
	}
	return errors.New("usage: backup save|list|get CONFIG [NAME]")
}

// save writes a backup, if this member leads: one of several masters is enough.
func save(ctx context.Context, set config, to store, from etcd) (string, error) {
	state, err := from.state(ctx)
	if err != nil {
		return "", err
	}
	if !state.leads {
		return "another member of etcd leads, and saves", nil
	}
	now := time.Now().UTC()
	content, err := set.archive(ctx, from, state.voters, now)
	if err != nil {
		return "", err
	}
	name := set.name(now)
	if err := to.put(ctx, name, content); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	found, err := own(ctx, set, to)
	if err != nil {
		return "", err
	}
	deleted := 0
	for ; len(found)-deleted > set.Keep; deleted++ {
		if err := to.delete(ctx, found[deleted].Name); err != nil {
			return "", fmt.Errorf("delete %s: %w", found[deleted].Name, err)
		}
	}
	return fmt.Sprintf("saved %s, %d bytes; %d older deleted", name, len(content), deleted), nil
}
