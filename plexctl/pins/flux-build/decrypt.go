package main

// Which texts of a source are decrypted, and when, as in internal/decryptor of kustomize-controller,
// which other programs cannot import.

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/resource"
	kustypes "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// encrypted is a text that SOPS has encrypted, with the formats by the names of SOPS' options.
type encrypted struct {
	Text   []byte `json:"text"` // base64 in JSON
	Input  string `json:"input"`
	Output string `json:"output"`
}

type decrypted struct {
	encrypted
	Plain []byte `json:"plain"`
}

// markers tell that a text is encrypted. Binary files are JSON when they are encrypted.
var markers = map[string][]byte{
	"binary": []byte(`"mac": "ENC[`),
	"dotenv": []byte("sops_mac=ENC["),
	"ini":    []byte("[sops]"),
	"json":   []byte(`"mac": "ENC[`),
	"yaml":   []byte("mac: ENC["),
}

// largest is the size up to which the controller decrypts a file.
const largest = 5 << 20

type decryptor struct {
	root   string
	files  filesys.FileSystem
	known  map[string][]byte // plain texts
	wanted []encrypted       // the texts that are not known
	opened bool              // whether a plain text is among the files
}

func newDecryptor(root string, files filesys.FileSystem, known []decrypted) *decryptor {
	made := &decryptor{root: root, files: files, known: map[string][]byte{}}
	for _, one := range known {
		made.known[one.key()] = one.Plain
	}
	return made
}

func (e encrypted) key() string { return e.Input + " " + e.Output + " " + string(e.Text) }

// plain is the decrypted text. If it is not known, it is wanted.
func (d *decryptor) plain(text []byte, input, output string) ([]byte, bool) {
	one := encrypted{text, input, output}
	plain, known := d.known[one.key()]
	if !known {
		d.wanted = append(d.wanted, one)
	}
	return plain, known
}

// decryptResource decrypts an object that is encrypted, or values of a Secret that are.
func (d *decryptor) decryptResource(one *resource.Resource) error {
	if isDisabled(one.GetAnnotations()) {
		return nil
	}
	if isEncrypted(one) {
		text, err := one.MarshalJSON()
		if err != nil {
			return err
		}
		plain, known := d.plain(text, "json", "json")
		if !known {
			return nil
		}
		if err := one.UnmarshalJSON(plain); err != nil {
			return fmt.Errorf("cannot be read after it is decrypted: %w", errHidden)
		}
		return nil
	}
	if one.GetKind() != "Secret" {
		return nil
	}
	values := one.GetDataMap()
	for name, value := range values {
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			continue // the API rejects it
		}
		for _, input := range []string{"json", "dotenv", "ini", "yaml"} {
			if bytes.Contains(text, markers[input]) {
				if plain, known := d.plain(text, input, formatOf(name)); known {
					values[name] = base64.StdEncoding.EncodeToString(plain)
				}
				break
			}
		}
	}
	one.SetDataMap(values)
	return nil
}

// decryptSources decrypts files of secret generators, and of patches, of the kustomization in a
// folder and of all that it names.
func (d *decryptor) decryptSources(folder string) error {
	return d.recurse(folder, map[string]bool{}, map[string]bool{})
}

// errNoFolder is a name of something else than a folder: an object, a URL, or nothing.
var errNoFolder = errors.New("no folder")

func (d *decryptor) recurse(path string, visited, done map[string]bool) error {
	folder, err := d.inside(path)
	if err != nil {
		return err
	}
	if visited[folder] {
		return nil
	}
	visited[folder] = true
	info, err := os.Lstat(folder)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return errNoFolder
	}
	if err != nil {
		return err
	}
	kustomization, err := d.load(folder)
	if err != nil {
		return err
	}
	if err := d.visit(folder, kustomization, done); err != nil {
		return err
	}
	for _, one := range append(kustomization.Resources, kustomization.Components...) {
		if !filepath.IsAbs(one) {
			one = filepath.Join(folder, one)
		}
		if err := d.recurse(one, visited, done); err != nil && !errors.Is(err, errNoFolder) {
			return err
		}
	}
	return nil
}

func (d *decryptor) visit(folder string, kustomization *kustypes.Kustomization, done map[string]bool) error {
	for _, generator := range kustomization.SecretGenerator {
		for _, source := range generator.FileSources {
			name, file, both := strings.Cut(source, "=")
			if !both {
				file = name
			}
			if err := d.decryptFile(folder, file, formatOf(name), done); err != nil {
				return err
			}
		}
		for _, file := range generator.EnvSources {
			format := formatOf(file)
			if format == "binary" {
				format = "dotenv"
			}
			if err := d.decryptFile(folder, file, format, done); err != nil {
				return err
			}
		}
	}
	for _, patch := range kustomization.Patches {
		if patch.Path == "" || isURL(patch.Path) {
			continue
		}
		if err := d.decryptFile(folder, patch.Path, formatOf(patch.Path), done); err != nil {
			return err
		}
	}
	return nil
}

func (d *decryptor) decryptFile(folder, file, format string, done map[string]bool) error {
	if !filepath.IsAbs(file) {
		file = filepath.Join(folder, file)
	}
	path, err := d.inside(file)
	if err != nil || done[path] {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if info.Size() > largest {
		return fmt.Errorf("%s is larger than the %d bytes that Flux decrypts", path, largest)
	}
	text, err := d.files.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Contains(text, markers[format]) {
		return nil
	}
	if plain, known := d.plain(text, format, format); known {
		done[path], d.opened = true, true
		return d.files.WriteFile(path, plain)
	}
	return nil
}

// load reads the kustomization of a folder.
func (d *decryptor) load(folder string) (*kustypes.Kustomization, error) {
	var found string
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		file := filepath.Join(folder, name)
		if !d.files.Exists(file) {
			continue
		}
		if found != "" {
			return nil, fmt.Errorf("%s has several kustomization files", folder)
		}
		found = file
	}
	if found == "" {
		return nil, fmt.Errorf("%s has no kustomization file", folder)
	}
	text, err := d.files.ReadFile(found)
	if err != nil {
		return nil, err
	}
	var kustomization kustypes.Kustomization
	if err := yaml.Unmarshal(text, &kustomization); err != nil {
		return nil, fmt.Errorf("%s: %w", found, err)
	}
	return &kustomization, nil
}

// inside is a path in the source, however it is written.
func (d *decryptor) inside(path string) (string, error) {
	relative, err := filepath.Rel(d.root, path)
	if err != nil {
		return "", err
	}
	if relative == ".." || strings.HasPrefix(relative, "../") {
		relative = path
	}
	return securejoin.SecureJoin(d.root, relative)
}

func isEncrypted(one *resource.Resource) bool {
	field := one.Field("sops")
	return !field.IsNilOrEmpty() && !field.Value.Field("mac").IsNilOrEmpty()
}

func isDisabled(annotations map[string]string) bool {
	name := kustomizev1.GroupVersion.Group + "/decrypt"
	return strings.EqualFold(annotations[name], kustomizev1.DisabledValue)
}

func isURL(path string) bool {
	found, err := url.Parse(path)
	return err == nil && found.Scheme != "" && found.Host != ""
}

// formatOf is SOPS' format for a file, by its name.
func formatOf(name string) string {
	if strings.HasSuffix(name, ".dockerconfigjson") {
		return "json"
	}
	switch strings.TrimPrefix(filepath.Ext(name), ".") {
	case "yaml", "yml":
		return "yaml"
	case "json":
		return "json"
	case "env":
		return "dotenv"
	case "ini":
		return "ini"
	}
	return "binary"
}
