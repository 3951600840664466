// Does with folders of a tree what Flux' kustomize-controller does before it applies them: runs
// kustomize, and fills in variables. Arguments: a file with the variables (JSON), and folders.
// Prints a JSON object: folder -> its objects. A variable that nobody gives is an error here.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/pkg/envsubst"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const substitute = "kustomize.toolkit.fluxcd.io/substitute"

func main() {
	text, err := os.ReadFile(os.Args[1])
	fail("variables", err)
	var variables map[string]string
	fail("variables", json.Unmarshal(text, &variables))
	built := map[string][]any{}
	for _, folder := range os.Args[2:] {
		objects, err := build(folder, variables)
		fail(folder, err)
		built[folder] = objects
	}
	fail("output", json.NewEncoder(os.Stdout).Encode(built))
}

func build(folder string, variables map[string]string) ([]any, error) {
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = types.LoadRestrictionsNone // as the controller has it
	resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, err
	}
	objects := []any{}
	for _, resource := range resources.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			return nil, err
		}
		full := string(text)
		if resource.GetLabels()[substitute] != "disabled" &&
			resource.GetAnnotations()[substitute] != "disabled" {
			full, err = envsubst.Eval(full, func(name string) (string, bool) {
				value, known := variables[name]
				return value, known
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", resource.CurId(), err)
			}
		}
		var object any
		if err := yaml.Unmarshal([]byte(full), &object); err != nil {
			return nil, fmt.Errorf("%s: %w", resource.CurId(), err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

func fail(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}
