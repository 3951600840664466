package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// store is where backups are.
type store interface {
	put(ctx context.Context, name string, content []byte) error
	list(ctx context.Context) ([]entry, error)
	get(ctx context.Context, name string, into io.Writer) error
	delete(ctx context.Context, name string) error
}

type entry struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// own are the backups of the plex, the oldest first.
func own(ctx context.Context, set config, from store) ([]entry, error) {
	all, err := from.list(ctx)
	if err != nil {
		return nil, err
	}
	found, names := []entry{}, set.names()
	for _, one := range all {
		if names.MatchString(one.Name) {
			found = append(found, one)
		}
	}
	slices.SortFunc(found, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// folder is one on this machine.
type folder string

func (in folder) put(_ context.Context, name string, content []byte) error {
	if err := os.MkdirAll(string(in), 0o700); err != nil {
		return err
	}
	draft := filepath.Join(string(in), "."+name+".new")
	if err := os.Remove(draft); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	return os.Rename(draft, filepath.Join(string(in), name))
}

func (in folder) list(context.Context) ([]entry, error) {
	files, err := os.ReadDir(string(in))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	found := []entry{}
	for _, one := range files {
		about, err := one.Info()
		if err == nil && about.Mode().IsRegular() {
			found = append(found, entry{one.Name(), about.Size()})
		}
	}
	return found, err
}

func (in folder) get(_ context.Context, name string, into io.Writer) error {
	file, err := os.OpenFile(filepath.Join(string(in), name), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(into, file)
	return err
}

func (in folder) delete(_ context.Context, name string) error {
	return os.Remove(filepath.Join(string(in), name))
}
