// Does what Argo CD's applicationset-controller does with an ApplicationSet, its git generator and
// its template, on a folder instead of a repository. Arguments: a file with an ApplicationSet and an
// AppProject (a JSON list), and the folder. Prints the Applications (JSON). Unknown fields are an
// error, as are values that a template names and nobody gives.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	log "github.com/sirupsen/logrus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/argoproj/argo-cd/v3/applicationset/controllers/template"
	"github.com/argoproj/argo-cd/v3/applicationset/generators"
	"github.com/argoproj/argo-cd/v3/applicationset/services"
	"github.com/argoproj/argo-cd/v3/applicationset/utils"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
)

// folder is a repository with one revision.
type folder struct {
	services.Repos
	root string
}

func (f folder) GetFiles(_ context.Context, _, _, _, pattern string, _ bool, _ *v1alpha1.SourceIntegrity) (map[string][]byte, error) {
	found, err := filepath.Glob(filepath.Join(f.root, pattern))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(f.root, path)
		if err != nil {
			return nil, err
		}
		files[name] = content
	}
	return files, nil
}

// project is a cluster that has one AppProject and nothing else.
type project struct {
	client.Client
	only v1alpha1.AppProject
}

func (p project) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	found, ok := object.(*v1alpha1.AppProject)
	if !ok || key.Name != p.only.Name || key.Namespace != p.only.Namespace {
		return fmt.Errorf("there is no %T %s", object, key)
	}
	p.only.DeepCopyInto(found)
	return nil
}

func main() {
	log.SetLevel(log.FatalLevel)
	text, err := os.ReadFile(os.Args[1])
	fail(err)
	var documents []json.RawMessage
	fail(json.Unmarshal(text, &documents))
	var set v1alpha1.ApplicationSet
	var only v1alpha1.AppProject
	fail(strict(documents[0], &set))
	fail(strict(documents[1], &only))
	git := generators.NewGitGenerator(folder{root: os.Args[2]}, set.Namespace)
	apps, _, err := template.GenerateApplications(
		log.NewEntry(log.StandardLogger()),
		set,
		map[string]generators.Generator{"Git": git},
		&utils.Render{},
		project{only: only},
	)
	fail(err)
	fail(json.NewEncoder(os.Stdout).Encode(apps))
}

func strict(text []byte, value any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(value)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
